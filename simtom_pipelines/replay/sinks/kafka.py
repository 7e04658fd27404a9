"""Records to a Kafka topic: keyed, with the event time, by an idempotent producer, acknowledged by delivery reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.base import GRACE_SECONDS
from simtom_pipelines.replay.sinks.extras import Address, missing_extra
from simtom_pipelines.replay.sinks.options import Options
from simtom_pipelines.replay.sinks.record import EventTime, Field

if TYPE_CHECKING:
    from confluent_kafka import Message, Producer

PORT = 9_092
PARTITIONERS = (
    "murmur2_random", "murmur2", "consistent_random", "consistent", "fnv1a_random", "fnv1a", "random",
)  # fmt: skip
"""The first is the default: a key goes to the partition that a Java producer would choose."""

_WINDOW = 1 << 16
"""Records under way at most; a power of two."""

_WINDOW_KILOBYTES = 65_536
_CHECK_SECONDS = 0.05
_FIXED = {
    "bootstrap.servers": "the address names them",
    "enable.idempotence": "always on: order and acknowledgements hang on it",
    "message.timeout.ms": "option retry_for",
    "delivery.timeout.ms": "option retry_for",
    "client.id": "option client_id",
}


def kafka_sink(target: str, given: dict[str, object]) -> KafkaSink:
    """Return the sink for ``kafka://host[:port][,host...]/topic``; properties of librdkafka pass through."""
    address = Address.parse(target, PORT, "topic")
    options = Options("kafka", address.options | given)
    event_time = options.text("time") or "timestamp"
    key = options.text("key")
    retry_for = options.seconds("retry_for", 30.0, least=1.0, most=86_400.0)
    connect_for = options.seconds("connect_for", 10.0, least=0.1, most=86_400.0)
    client_id = options.text("client_id") or "simtom-replay"
    partitioner = options.choice("partitioner", PARTITIONERS, PARTITIONERS[0])
    properties = options.matching(r"[a-z]+(\.[a-z0-9]+)+", "any property of librdkafka with a dot in its name")
    if address.user is not None:
        properties.setdefault("sasl.username", address.user)
        properties.setdefault("sasl.password", address.password or "")
    for name in properties.keys() & _FIXED:
        options.refuse(name, properties[name], f"not to be set ({_FIXED[name]})")
    options.finish()
    return KafkaSink(
        address.servers,
        address.path,
        key=key,
        event_time=None if event_time == "none" else event_time,
        retry_for=retry_for,
        connect_for=connect_for,
        properties=properties | {"client.id": client_id, "partitioner": partitioner},
    )


class KafkaSink:
    """Produces each record as a message; acknowledged when all in-sync replicas have it, in order.

    librdkafka batches, sends and retries in threads of its own, so that a send costs little and none waits for a
    broker. Its queue is bounded, and full it blocks the send. A delivery report marks its record; `acked` counts the
    records before the first that is not marked, across partitions.

    Args:
        servers: ``host:port`` of brokers to begin with.
        topic: The topic.
        key: Field whose value is the message's key; None: no keys, partitions at random.
        event_time: Field whose value is the message's timestamp; None: the producer's clock.
        retry_for: Seconds that librdkafka goes on to deliver a record to brokers that are away.
        connect_for: Seconds to wait for the first answer of a broker.
        properties: Further properties of librdkafka.
    """

    def __init__(
        self,
        servers: tuple[str, ...],
        topic: str,
        *,
        key: str | None = None,
        event_time: str | None = "timestamp",
        retry_for: float = 30.0,
        connect_for: float = 10.0,
        properties: dict[str, str] | None = None,
    ) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise missing_extra("kafka", "confluent-kafka") from error
        self._kafka, self.topic = confluent_kafka, topic
        self._key = None if key is None else Field(key)
        self._time = None if event_time is None else EventTime(event_time)
        self._connect_for = connect_for
        self._target = f"kafka://{','.join(servers)}/{topic}"
        given = properties or {}
        self._properties: dict[str, Any] = {
            "bootstrap.servers": ",".join(servers),
            "linger.ms": 5,
            "queue.buffering.max.messages": _WINDOW,
            "queue.buffering.max.kbytes": _WINDOW_KILOBYTES,
            "enable.idempotence": True,
            "partitioner": PARTITIONERS[0],
            "message.timeout.ms": round(retry_for * 1_000),
            "log_level": 2,  # connection errors are told by the callback below
        } | given
        self._producer: Producer | None = None
        self._error: SinkError | None = None
        self._reports: list[Callable[[Any, Message], None]] = []
        self._stop, self._last_trouble = threading.Event(), ""
        self._taken = self._acked = 0
        self._safe = bytearray()
        self._last_time: int | None = None

    def _begin(self, stop: threading.Event) -> None:
        self._stop, self._error, self._last_trouble = stop, None, ""
        self._taken = self._acked = 0
        self._safe = bytearray(_WINDOW)
        self._reports = [partial(self._report, slot) for slot in range(_WINDOW)]
        self._last_time = None

    def open(self, stop: threading.Event) -> None:
        """Connect and look for the topic."""
        self._begin(stop)
        kafka = self._kafka
        try:
            self._producer = kafka.Producer(self._properties, error_cb=self._trouble)
        except (kafka.KafkaException, ValueError, TypeError) as error:
            raise SinkError(f"{self._target}: the producer cannot be made: {_text(error)}") from error
        until = time.monotonic() + self._connect_for
        while not stop.is_set():
            problem = self._look_for_topic(self._producer)
            if problem is None:
                return
            if time.monotonic() >= until:
                raise SinkError(f"{self._target}: {problem} within {self._connect_for:g} s (option connect_for)")
            time.sleep(_CHECK_SECONDS)

    def _look_for_topic(self, producer: Producer) -> str | None:
        kafka = self._kafka
        try:
            found = producer.list_topics(self.topic, timeout=GRACE_SECONDS)
        except kafka.KafkaException as error:
            producer.poll(0)
            return f"no broker answers ({self._last_trouble or _text(error)})"
        problem = found.topics[self.topic].error
        if problem is None:
            return None
        if problem.code() in (kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED, kafka.KafkaError.TOPIC_EXCEPTION):
            raise SinkError(f"{self._target}: {problem.str()}")
        return f"the topic does not exist, or has no leader ({problem.str()})"

    def _trouble(self, error: Any) -> None:
        self._last_trouble = error.str()
        if error.fatal():
            self._error = SinkError(f"{self._target}: {error.str()}")

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Hand the records to librdkafka, waiting while its queue or the window is full."""
        producer, at = self._producer, i
        assert producer is not None
        self._complain()
        try:
            while at < j:
                room = _WINDOW - (self._taken - self._acked)
                if room > 0:
                    until = min(j, at + room)
                    at += self._produce(producer, buffer, offsets[at : until + 1].tolist())
                    if at == until:
                        continue
                if not self._room(producer):
                    break
        except self._kafka.KafkaException as error:
            raise SinkError(f"{self._target} refuses a record: {_text(error)}") from error
        producer.poll(0)
        return at - i

    def _produce(self, producer: Producer, buffer: memoryview, bounds: list[int]) -> int:
        """Hand over records until librdkafka's queue is full and return how many."""
        produce, topic, reports, first = producer.produce, self.topic, self._reports, self._taken
        key, milliseconds = self._key, None if self._time is None else self._time.milliseconds
        number, at, when = first, bounds[0], self._last_time
        try:
            for end in bounds[1:]:
                value = bytes(buffer[at : end - 1])
                named = None if key is None else key(value)
                done = reports[number % _WINDOW]
                if milliseconds is not None and (found := milliseconds(value)) is not None:
                    when = found
                if when is None:
                    produce(topic, value, named, on_delivery=done)
                else:
                    produce(topic, value, named, on_delivery=done, timestamp=when)
                number, at = number + 1, end
        except BufferError:
            pass  # full: the caller waits
        finally:
            self._taken, self._last_time = number, when
        return number - first

    def _room(self, producer: Producer) -> bool:
        """Wait a moment for reports; return False once the run ends."""
        producer.poll(_CHECK_SECONDS)
        self._count()
        self._complain()
        return not self._stop.is_set()

    def _report(self, slot: int, error: Any, message: Message) -> None:
        if error is None:
            self._safe[slot] = 1
        elif self._error is None:
            trouble = f"; last error: {self._last_trouble}" if self._last_trouble else ""
            self._error = SinkError(f"{self._target} did not take a record: {error.str()}{trouble} (option retry_for)")

    def _count(self) -> None:
        """Move over the marked records."""
        safe = self._safe
        while self._acked < self._taken:
            begin = self._acked % _WINDOW
            until = min(_WINDOW, begin + self._taken - self._acked)
            end = safe.find(0, begin, until)
            marked = (until if end < 0 else end) - begin
            safe[begin : begin + marked] = bytes(marked)
            self._acked += marked
            if end >= 0:
                return

    def _complain(self) -> None:
        if self._error is not None:
            raise self._error

    def poll(self) -> None:
        """Take the delivery reports that came."""
        assert self._producer is not None
        self._producer.poll(0)
        self._count()
        self._complain()

    def flush(self) -> None:
        """Wait for every delivery report; after a stop for a moment only."""
        producer, deadline = self._producer, None
        if producer is None:
            return
        while self._acked < self._taken:
            producer.flush(_CHECK_SECONDS)
            self._count()
            self._complain()
            if self._stop.is_set():
                deadline = time.monotonic() + GRACE_SECONDS - _CHECK_SECONDS if deadline is None else deadline
                if time.monotonic() > deadline:
                    return

    def acked(self) -> int:
        """Return the records that are safe, all before them too."""
        self._count()
        return self._acked

    def close(self) -> None:
        """Drop what is still queued, and the connections."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.poll(0)
            self._producer, self._reports = None, []


def _text(error: BaseException) -> str:
    inner: Any = error.args[0] if error.args else error
    text: Callable[[], str] | None = getattr(inner, "str", None)
    return text() if callable(text) else str(inner)
