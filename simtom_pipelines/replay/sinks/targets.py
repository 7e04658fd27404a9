"""Targets as texts: which sink an address means. The one place where sinks meet the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.sinks.file import file_sink
from simtom_pipelines.replay.sinks.kafka import kafka_sink
from simtom_pipelines.replay.sinks.nats_jetstream import nats_sink
from simtom_pipelines.replay.sinks.options import Options, listed
from simtom_pipelines.replay.sinks.redis_stream import redis_sink
from simtom_pipelines.replay.sinks.stdout import StdoutSink
from simtom_pipelines.replay.sinks.webhook import webhook_sink

Maker = Callable[[str, dict[str, object]], Sink]
"""Makes a sink from a target and its options; it connects to nothing."""

_makers: dict[str, Maker] = {
    "kafka": kafka_sink,
    "redis": redis_sink,
    "rediss": redis_sink,
    "nats": nats_sink,
    "tls": nats_sink,
    "http": webhook_sink,
    "https": webhook_sink,
}


def register_sink(scheme: str, maker: Maker) -> None:
    """Make a further kind of target known to `open_sink`.

    Raises:
        SinkError: The scheme is taken.
    """
    if scheme in _makers or scheme == "file":
        raise SinkError(f"the scheme {scheme!r} is taken; known: {listed([*_makers, 'file'])}")
    _makers[scheme] = maker


def open_sink(target: str, *, zone: str = "UTC", **options: object) -> Sink:
    """Return the sink that a target names. Nothing is connected to or created before the replay opens it.

    ``-`` is standard output; ``kafka://host:port/topic``, ``redis://host:port/stream``, ``nats://host:port/subject``,
    ``http://`` and ``https://`` are what they say; ``file:PATH`` and anything without a scheme is a file. Options may
    follow a question mark, except in a webhook's address, which is passed on as it is, and in a plain path.

    Args:
        target: The text.
        zone: Time zone of the days by which files are cut, unless the option ``zone`` is given.
        **options: Options of the sink, as texts or values; those that are None are not given.

    Raises:
        SinkError: The scheme is unknown, an option is unknown or has a wrong value, or the sink's extra is missing.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if target == "-":
        Options("stdout", given).finish()
        return StdoutSink()
    scheme, colon, rest = target.partition(":")
    scheme = scheme.lower()
    if colon and scheme == "file":
        path, _, query = rest.removeprefix("//").partition("?")
        return file_sink(path, _merged(target, query, given), zone)
    if colon and scheme in _makers:
        _, _, query = ("", "", "") if scheme in ("http", "https") else target.partition("?")
        _merged(target.partition("?")[0], query, given)
        return _makers[scheme](target, given)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target):
        raise SinkError(
            f"no sink for {scheme}://; known: {listed(f'{s}://' for s in _makers)}, file:PATH, - for stdout"
        )
    return file_sink(target, given, zone)


def parse_options(pairs: Iterable[str]) -> dict[str, object]:
    """Return the options of texts ``key=value``.

    Raises:
        SinkError: A text has another form, or an option is given twice.
    """
    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise SinkError(f"--sink-option {pair!r}: expected key=value")
        if name in found:
            raise SinkError(f"--sink-option {name} is given twice")
        found[name] = value
    return found


def _merged(shown: str, query: str, given: dict[str, object]) -> dict[str, object]:
    """Return the options of an address and the given ones together."""
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    if twice := pairs.keys() & given.keys():
        raise SinkError(
            f"{re.sub('//[^/]*@', '//', shown)}: option {listed(repr(name) for name in twice)} is given twice"
        )
    return pairs | given
