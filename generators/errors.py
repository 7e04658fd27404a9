"""Errors of the library: each says what was given, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class SimtomError(Exception):
    """Base of every error that a user can cause; its text is fit to be shown without a traceback."""


class UnknownNameError(SimtomError, KeyError):
    """A name that is not known; the known ones are listed.

    Args:
        kind: What was looked up, for example ``"generator"``.
        given: The name that was asked for.
        known: The names that exist.
        hint: An extra sentence, for example why a plugin is missing.
    """

    def __init__(self, kind: str, given: object, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.given, self.known = kind, given, tuple(known)
        listed = ", ".join(self.known) or "none"
        super().__init__(f"unknown {kind} {given!r}; known: {listed}" + (f". {hint}" if hint else ""))

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(SimtomError, ValueError):
    """A configuration that cannot be used: names the field, the value and what is allowed."""


class CalendarError(SimtomError, ValueError):
    """A day, country or time zone that the calendar does not hold."""


class PluginError(SimtomError, TypeError):
    """A generator class that breaks the plugin contract."""


class DataError(SimtomError, ValueError):
    """A frame that breaks its table's schema."""
