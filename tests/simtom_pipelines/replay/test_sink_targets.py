"""Targets and options as texts: what they mean, and what is refused with which words."""

from __future__ import annotations

import sys

import pytest

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.sinks import FileSink, KafkaSink, StdoutSink, open_sink, parse_options, register_sink
from simtom_pipelines.replay.sinks import targets as module
from simtom_pipelines.replay.sinks.courier import Courier


def test_target_names_its_sink() -> None:
    assert isinstance(open_sink("-"), StdoutSink)
    for path in ("out.ndjson", "file:out.ndjson", "a/b:c.ndjson", "what?.ndjson"):
        sink = open_sink(path)
        assert isinstance(sink, FileSink)
        assert str(sink.path) == path.removeprefix("file:")
    assert str(open_sink("file:///var/out.ndjson?rotate=1MB").path) == "/var/out.ndjson"  # type: ignore[attr-defined]
    assert isinstance(open_sink("kafka://a:9092,b/topic?key=customer_id"), KafkaSink)
    for target in ("redis://localhost/a", "nats://localhost/a.b", "http://localhost/hook?maxlen=3", "https://x"):
        assert isinstance(open_sink(target), Courier)


def test_password_is_in_no_message() -> None:
    sink = open_sink("redis://me:secret@localhost/stream")
    assert isinstance(sink, Courier)
    assert sink.target == "redis://localhost:6379/stream"
    hook = open_sink("https://me:secret@localhost/hook?token=secret", token="secret")
    assert isinstance(hook, Courier)
    assert hook.target == "https://localhost/hook"
    for target in ("redis://me:secret@localhost/stream?maxlen=x", "nats://me:secret@localhost/a?create=perhaps",
                   "kafka://me:secret@localhost/a?retry_for=x", "redis://me:secret@localhost/a?x=1&x=2"):  # fmt: skip
        with pytest.raises(SinkError) as caught:
            open_sink(target)
        assert "secret" not in str(caught.value)


def test_value_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "10 records")
    assert open_sink("out.ndjson", rotate="env:KEPT").rotation.records == 10  # type: ignore[attr-defined]
    with pytest.raises(SinkError, match="'rotate' names LOST, which is not in the environment"):
        open_sink("out.ndjson", rotate="env:LOST")


@pytest.mark.parametrize(
    "target,match",
    [
        ("kafk://localhost/topic", r"no sink for kafk://; known: http://, https://, kafka://, .*file:PATH"),
        ("s3://bucket/a", "no sink for s3://"),
        ("file:", "the path is empty"),
        ("", "the path is empty"),
        ("kafka://localhost", "no topic is named; expected kafka://localhost:9092/topic"),
        ("redis:///stream", "no server is named"),
        ("redis://a,b/stream", "one server is expected, 2 are named"),
        ("redis://localhost:port/stream", "'port' is no port"),
        ("redis://localhost:99999/stream", "'99999' is no port"),
        ("nats://localhost/a.*", "no wildcard"),
        ("nats://localhost/a..b", "no subject to publish to"),
        ("redis://localhost/a?maxlen=-1", "'maxlen' is '-1'; allowed: a whole number of 0 or more"),
        ("redis://localhost/a?maxlen=1&maxlen=2", "'maxlen' is given twice"),
        ("redis://localhost/a?max_len=1", "no option 'max_len'; options: field, maxlen, db"),
        ("redis://localhost/a#b", "'#' begins a part"),
        ("nats://localhost/a?timeout=soon", "'timeout' is 'soon'; allowed: a duration such as 500ms or 10s"),
        ("nats://localhost/a?create=perhaps", "'create' is 'perhaps'; allowed: true, false"),
        ("kafka://localhost/a?partitioner=mine", "'partitioner' is 'mine'; allowed: murmur2_random"),
        ("kafka://localhost/a?enable.idempotence=false", "allowed: not to be set"),
        ("kafka://localhost/a?keys=b", "no option 'keys'; options: time, key"),
        ("http:///hook", "no host is named"),
        ("http://localhost:port/", "cannot be used"),
    ],
)  # fmt: skip
def test_wrong_target_is_named(target: str, match: str) -> None:
    with pytest.raises(SinkError, match=match):
        open_sink(target)


def test_options_of_the_wrong_sink_are_refused() -> None:
    with pytest.raises(SinkError, match="stdout sink: no option 'rotate'; options: none"):
        open_sink("-", rotate="day")
    with pytest.raises(SinkError, match="option 'key' is given twice"):
        open_sink("kafka://localhost/a?key=b", key="c")
    with pytest.raises(SinkError, match="webhook sink: option 'batch' is '0'; allowed: a whole number from 1"):
        open_sink("http://localhost", batch=0)
    with pytest.raises(SinkError, match=r"a header cannot be used"):
        open_sink("http://localhost", **{"header.X-Key": "snow\u2603"})


def test_pairs_of_the_command_line() -> None:
    assert parse_options(["key=a=b", "x="]) == {"key": "a=b", "x": ""}
    for pairs, match in ((["rotate"], "expected key=value"), (["=1"], "expected key=value"), (["a=1", "a=2"], "twice")):
        with pytest.raises(SinkError, match=match):
            parse_options(pairs)


@pytest.mark.parametrize(
    "target,library,extra",
    [
        ("kafka://localhost/a", "confluent_kafka", "kafka"),
        ("redis://localhost/a", "redis.connection", "redis"),
        ("nats://localhost/a", "nats", "nats"),
        ("http://localhost/a", "httpx", "webhook"),
    ],
)
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, target: str, library: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SinkError, match=rf"pip install 'simtom-pipelines\[{extra}\]'"):
        open_sink(target)


def test_further_scheme_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_makers", dict(module._makers))
    register_sink("null", lambda target, options: FileSink("/dev/null"))
    assert isinstance(open_sink("null://"), FileSink)
    for taken in ("null", "kafka", "file"):
        with pytest.raises(SinkError, match="is taken"):
            register_sink(taken, lambda target, options: StdoutSink())
