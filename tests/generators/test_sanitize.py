from __future__ import annotations

import re

import polars as pl
import pytest

from generators.errors import PluginError
from generators.sanitize import check_format, format_regex, luhn_valid, scan, suspicious


@pytest.mark.parametrize(
    "digits, valid", [("4111111111111111", True), ("4111111111111112", False), ("79927398713", True), ("0", True)]
)
def test_luhn_valid(digits: str, valid: bool) -> None:
    assert luhn_valid(digits) is valid


@pytest.mark.parametrize(
    "text, kind",
    [
        ("4111111111111111", "card number"),
        ("paid with 378282246310005.", "card number"),
        ("4111111111111112", None),
        ("94111111111111111", None),
        ("123-45-6789", "social security number"),
        ("x123-45-6789y", "social security number"),
        ("1123-45-6789", None),
        ("123-45-67890", None),
        ("1234567893", "provider number"),
        ("1234567890", None),
        ("3234567893", None),
        ("jane@gmail.com", "e-mail address"),
        ("jane@mail.example.com", None),
        ("jane@example.org", None),
        ("jane@notexample.com", "e-mail address"),
        ("jane@shop.test", None),
        ("cus_a1b2c3d4", None),
        ("", None),
    ],
)
def test_suspicious(text: str, kind: str | None) -> None:
    assert suspicious(text) == kind


def test_scan_names_each_text_once_and_passes_over_nulls() -> None:
    column = pl.Series(["fine", None, "123-45-6789", "123-45-6789", "a@b.com"])
    assert scan(column) == {"123-45-6789": "social security number", "a@b.com": "e-mail address"}


def test_scan_reads_categories() -> None:
    column = pl.Series(["a", "4111111111111111"], dtype=pl.Enum(["a", "4111111111111111"]))
    assert scan(column) == {"4111111111111111": "card number"}


def test_scan_prefilter_loses_nothing() -> None:
    suspects = ["4111111111111111", "a 123-45-6789 b", "n1234567893", "q@r.io"]
    assert set(scan(suspects)) == {text for text in suspects if suspicious(text)}
    assert len(scan(suspects)) == 4


@pytest.mark.parametrize(
    "template, text, matches",
    [
        ("cus_****", "cus_ab27", True),
        ("cus_****", "cus_ab18", False),
        ("a.#", "a.7", True),
        ("a.#", "ax7", False),
        ("%%", "f0", True),
        ("%%", "F0", False),
        ("##", "123", False),
    ],
)
def test_format_regex(template: str, text: str, matches: bool) -> None:
    assert bool(re.search(format_regex(template), text)) is matches


@pytest.mark.parametrize(
    "template", ["cus_********", "txn-####-####-####", "#########", "user#@example.com", "a-%%%-%%"]
)
def test_check_format_allowed(template: str) -> None:
    check_format("id", template)


@pytest.mark.parametrize(
    "template, reason",
    [
        ("################", "16 digits"),
        ("##########", "10 digits"),
        ("4111%%%%%%%%%%%%", "16 digits"),
        ("###-##-####", "social security"),
        ("id ###-##-####", "social security"),
        ("user#@mail.com", "example.com"),
        ("user#@notexample.com", "example.com"),
    ],
)
def test_check_format_refused(template: str, reason: str) -> None:
    with pytest.raises(PluginError, match=reason) as caught:
        check_format("id", template)
    assert "'id'" in str(caught.value)
