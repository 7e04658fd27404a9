"""Text that could be mistaken for a real identifier, and how it is kept out.

Identifier columns declare a format (`check_format` looks at it when a schema registers), vocabularies are scanned once
a seed, any other text column in every batch. Rules: no Luhn-valid number of 13 to 19 digits that starts with 2 to 6
(the card networks' ranges, ISO/IEC 7812-1), nothing shaped like a US social security number (SSA POMS RM 10201.035), no
10-digit number that starts with 1 or 2 and passes the Luhn check of US provider numbers (prefix 80840), and e-mail
addresses only in the domains that RFC 2606 reserves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from generators.errors import PluginError

_CARD = re.compile(r"(?<!\d)[2-6]\d{12,18}(?!\d)")
_SOCIAL_SECURITY = re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")
_PROVIDER = re.compile(r"(?<!\d)[12]\d{9}(?!\d)")
_EMAIL = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")
_RESERVED_DOMAIN = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net)|invalid|test|example)$")

_CANDIDATE = r"\d{10}|\d{3}-\d{2}-\d{4}|@"
"""What a text must contain before the exact rules are worth running."""

MAX_DIGIT_RUN = 9
"""Longest run of characters that may be digits in an identifier format: shorter than any number that is scanned for."""


def luhn_valid(digits: str) -> bool:
    """Return whether a string of digits passes the Luhn check (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def suspicious(text: str) -> str | None:
    """Return what kind of real identifier a text could be taken for, or None."""
    if any(luhn_valid(match) for match in _CARD.findall(text)):
        return "card number"
    if _SOCIAL_SECURITY.search(text):
        return "social security number"
    if any(luhn_valid("80840" + match) for match in _PROVIDER.findall(text)):
        return "provider number"
    if any(not _RESERVED_DOMAIN.search(domain) for domain in _EMAIL.findall(text)):
        return "e-mail address"
    return None


def scan(texts: pl.Series | Iterable[str]) -> dict[str, str]:
    """Return the texts that look like real identifiers, each with the kind it looks like.

    Args:
        texts: A column of strings or categories, or any strings. Nulls are passed over.
    """
    series = texts.cast(pl.String) if isinstance(texts, pl.Series) else pl.Series(list(texts), dtype=pl.String)
    candidates = series.filter(series.str.contains(_CANDIDATE)).unique()
    found = ((text, suspicious(text)) for text in candidates.drop_nulls())
    return {text: kind for text, kind in found if kind is not None}


def format_regex(template: str) -> str:
    """Return the regular expression of an identifier format.

    Args:
        template: Literal text in which ``#`` stands for a digit, ``%`` for a lower-case hexadecimal digit and ``*`` for
            a character of lower-case base 32 (a to z, 2 to 7), for example ``"cus_********"``.
    """
    classes = {"#": "[0-9]", "%": "[0-9a-f]", "*": "[a-z2-7]"}
    return "^" + "".join(classes.get(character, re.escape(character)) for character in template) + "$"


def check_format(column: str, template: str) -> None:
    """Refuse an identifier format that could spell a real identifier.

    Raises:
        PluginError: It may hold a run of ten or more digits, the shape of a social security number, or an at sign.
    """
    digits = "".join("d" if c in "#%*" or c.isdigit() else "-" if c == "-" else "." for c in template)
    longest = max((len(run) for run in re.findall("d+", digits)), default=0)
    if longest > MAX_DIGIT_RUN:
        raise PluginError(
            f"column {column!r}: format {template!r} may hold {longest} digits in a row and so spell a real number; "
            f"at most {MAX_DIGIT_RUN} are allowed: put letters or separators between them"
        )
    if re.search("(?<!d)ddd-dd-dddd(?!d)", digits):
        raise PluginError(f"column {column!r}: format {template!r} has the shape of a social security number")
    if "@" in template and not _RESERVED_DOMAIN.search(template.rpartition("@")[2]):
        raise PluginError(f"column {column!r}: e-mail addresses are allowed at example.com, .org and .net only")
