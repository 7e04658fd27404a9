"""Records to a NATS JetStream subject: published in a window, acknowledged by the stream."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.backlog import Batch
from simtom_pipelines.replay.sinks.courier import Courier, Retries, Unavailable
from simtom_pipelines.replay.sinks.extras import Address, missing_extra
from simtom_pipelines.replay.sinks.options import Options
from simtom_pipelines.replay.sinks.record import Field
from simtom_pipelines.replay.sinks.tls import Tls, distrusted

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

PORT = 4_222
_HEADER = "Nats-Msg-Id"
_EXPECTED = "Nats-Expected-Stream"


def nats_sink(target: str, given: dict[str, object]) -> Courier:
    """Return the sink for ``nats://[user:password@]host[:port][,host...]/subject``, or ``tls://``."""
    address = Address.parse(target, PORT, "subject")
    options = Options("nats", address.options | given)
    carrier = NatsCarrier(
        address,
        stream=options.text("stream"),
        create=options.flag("create", False),
        msg_id=options.text("msg_id") or "hash",
        timeout=options.seconds("timeout", 10.0),
        password=options.text("password"),
        token=options.text("token"),
        credentials=options.text("credentials"),
        tls=Tls.options(options, address.scheme == "tls", "tls"),
    )
    retries, count = Retries.options(options), options.count("batch", 1_000, most=100_000)
    options.finish()
    return Courier(address.plain, carrier, retries, count=count, size=4_000_000)


class NatsCarrier:
    """Publishes a batch without waiting in between, then waits for the acknowledgement of every record.

    Every record carries a message id, by which the stream drops a record that it has already (within its
    ``duplicate_window``, two minutes by default): an attempt whose outcome is unknown leaves no duplicate.

    Args:
        address: Servers and subject.
        stream: Stream that must take the subject; default: whichever does.
        create: Make a stream where none takes the subject.
        msg_id: ``hash`` of the record, ``none``, or the field that identifies a record.
        timeout: Seconds without an acknowledgement after which the server counts as away.
        password: Instead of the address's.
        token: Authentication by token.
        credentials: Path of a credentials file.
        tls: Files for ``tls://``.
    """

    def __init__(
        self,
        address: Address,
        *,
        stream: str | None,
        create: bool,
        msg_id: str,
        timeout: float,
        password: str | None,
        token: str | None,
        credentials: str | None,
        tls: Tls,
    ) -> None:
        try:
            import nats
            import nats.aio.client
            import nats.errors
            import nats.js.api
            import nats.js.errors
        except ImportError as error:
            raise missing_extra("nats", "nats-py") from error
        self._nats, self._subject, self._stream, self._create = nats, address.path, stream, create
        if any(c in self._subject for c in "*> \t/") or ".." in f".{self._subject}.":
            raise SinkError(
                f"{address.plain}: {self._subject!r} is no subject to publish to; expected a.b.c, no wildcard"
            )
        self._identify, self._timeout = _identifier(msg_id), timeout
        scheme = "tls" if address.scheme == "tls" else "nats"
        self._arguments: dict[str, Any] = {
            "servers": [f"{scheme}://{server}" for server in address.servers],
            "name": "simtom-replay",
            "allow_reconnect": False,  # the courier does: it must know what was accepted
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": max(1, round(timeout)),
            "error_cb": self._note,
            "user": address.user,
            "password": password or address.password,
            "token": token,
            "user_credentials": credentials,
            "tls": tls.context() if scheme == "tls" else None,
        }
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._last_error = ""
        self._window = _Window("", 0)
        self._attempts = self._gaps = 0
        self._refused = False

    def connect(self) -> None:
        """Connect and find the stream."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._run(self._connect())

    def deliver(self, batch: Batch) -> None:
        """Publish every record and wait for every acknowledgement.

        After a refusal the first record goes alone: room that comes up while a window is refused would let later
        records in before it.
        """
        records, done = batch.records(), 0
        if self._refused:
            self._run(self._publish(records[:1]))
            self._refused, done = False, 1
        try:
            self._run(self._publish(records[done:]))
        except Unavailable as error:
            error.accepted += done
            raise

    def disconnect(self) -> None:
        """Close the connection and the event loop."""
        if self._loop is None:
            return
        try:
            self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()
            self._loop = None

    def abort(self) -> None:
        """Cancel a waiting delivery."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                return  # the loop closed meanwhile

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        loop = self._loop
        assert loop is not None
        self._task = loop.create_task(work)
        try:
            loop.run_until_complete(self._task)
        except asyncio.CancelledError as error:
            raise Unavailable("the run ended") from error
        finally:
            self._task = None

    async def _note(self, error: Exception) -> None:
        self._last_error = f"{error}" or type(error).__name__

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            try:
                await asyncio.wait_for(client.close(), 1.0)
            except (OSError, self._nats.errors.Error, TimeoutError):
                return  # it is gone already

    async def _connect(self) -> None:
        errors = self._nats.errors
        await self._close()
        self._last_error = ""
        self._client = self._nats.aio.client.Client()
        try:
            await self._client.connect(**self._arguments)
        except (errors.Error, OSError, TimeoutError, ValueError) as error:
            await self._close()  # the library leaves the socket of a failed greeting open
            raise self._no_connection(error) from error
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._acknowledged)
        await self._find_stream()

    def _no_connection(self, error: BaseException) -> Exception:
        text = self._last_error or str(error) or type(error).__name__
        if "authorization" in text.lower() or "authentication" in text.lower():
            return SinkError(f"NATS refuses the user, password or token: {text}")
        if distrusted(error):
            return SinkError(f"the certificate of the NATS server is not trusted: {error}")
        return Unavailable(f"cannot connect ({text})")

    async def _find_stream(self) -> None:
        assert self._client is not None
        js, errors = self._client.jetstream(timeout=self._timeout), self._nats.js.errors
        try:
            found = await js.find_stream_name_by_subject(self._subject)
        except errors.NotFoundError:
            if not self._create:
                name = self._stream or _stream_name(self._subject)
                raise SinkError(
                    f"no JetStream stream takes subject {self._subject!r}, so nothing would be kept; create one "
                    f"(nats stream add {name} --subjects {self._subject}), or give the option create=true"
                ) from None
            found = self._stream or _stream_name(self._subject)
            try:
                await js.add_stream(self._nats.js.api.StreamConfig(name=found, subjects=[self._subject]))
            except errors.BadRequestError as error:
                raise SinkError(f"NATS refuses to create stream {found!r}: {error.description}") from error
        except (self._nats.errors.NoRespondersError, errors.ServiceUnavailableError) as error:
            raise Unavailable("JetStream does not answer; is it switched on (nats-server -js)?") from error
        except (errors.APIError, self._nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"JetStream does not answer ({error or type(error).__name__})") from error
        if self._stream is not None and found != self._stream:
            raise SinkError(f"subject {self._subject!r} belongs to stream {found!r}, not to {self._stream!r}")

    async def _publish(self, records: list[bytes]) -> None:
        client, errors = self._client, self._nats.errors
        if client is None:
            raise Unavailable("the connection was closed")
        self._attempts += 1
        window = self._window = _Window(f"{self._inbox}.{self._attempts}-", len(records))
        publish, subject, identify = client.publish, self._subject, self._identify
        again = f".{self._gaps}" if self._gaps else ""
        try:
            for number, record in enumerate(records):
                headers = {} if self._stream is None else {_EXPECTED: self._stream}
                if identify is not None and (identity := identify(record)) is not None:
                    headers[_HEADER] = identity + again
                await publish(subject, record, reply=f"{window.inbox}{number}", headers=headers or None)
                if window.refused is not None:
                    break
            await window.settled(client, self._timeout)
        except errors.MaxPayloadError as error:
            raise SinkError(
                f"a record of {len(record):,} bytes is over the NATS server's max_payload, {client.max_payload:,}"
            ) from error
        except (errors.Error, OSError) as error:
            raise self._partly(
                window, f"the connection broke ({self._last_error or error or type(error).__name__})"
            ) from error
        if window.missing:
            raise self._partly(window, window.refused or f"no acknowledgement within {self._timeout:g} s")

    def _partly(self, window: _Window, text: str) -> Exception:
        self._refused = window.refused is not None
        if window.final:
            return SinkError(f"NATS refuses a record for subject {self._subject!r}: {text}")
        if window.gap:
            # A record behind the first missing one was stored. Sent again under its id it would be dropped, and the
            # missing one would stand behind it: it gets another id, and the order holds.
            self._gaps += 1
        return Unavailable(text, window.accepted)

    async def _acknowledged(self, message: Msg) -> None:
        if message.subject.startswith(self._window.inbox):
            self._window.answer(int(message.subject[len(self._window.inbox) :]), message)


class _Window:
    """The records of one attempt and their acknowledgements.

    Args:
        inbox: Start of the subjects that acknowledgements come to.
        count: How many records.
    """

    def __init__(self, inbox: str, count: int) -> None:
        self.inbox, self.missing = inbox, count
        self.refused: str | None = None
        self.final = False
        self._stored = bytearray(count)
        self._changed = asyncio.Event()

    @property
    def accepted(self) -> int:
        """How many records are stored, from the first on without a gap."""
        found = self._stored.find(0)
        return len(self._stored) if found < 0 else found

    @property
    def gap(self) -> bool:
        """Whether a record behind a missing one is stored."""
        return b"\1" in self._stored[self.accepted :]

    def answer(self, number: int, message: Msg) -> None:
        """Note an acknowledgement or a refusal."""
        data = message.data
        if data.startswith(b"{") and b'"error"' not in data:
            self.missing -= not self._stored[number]
            self._stored[number] = 1
        elif not data:
            self.refused = "no JetStream stream answers for the subject"
        else:
            error = json.loads(data)["error"]
            self.refused = f"{error.get('description', error)} ({error.get('code')})"
            self.final = int(error.get("code", 500)) < 500
        self._changed.set()

    async def settled(self, client: Client, timeout: float) -> None:
        """Return when every record is stored, one is refused, the connection broke, or nothing came for `timeout`."""
        loop = asyncio.get_running_loop()
        deadline, before = loop.time() + timeout, self.missing
        while self.missing and self.refused is None and client.is_connected and loop.time() < deadline:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.1)
            except TimeoutError:
                continue
            if self.missing < before:
                deadline, before = loop.time() + timeout, self.missing
        if self.missing and self.refused is None and not client.is_connected:
            self.refused = "the connection broke"


def _identifier(name: str) -> Callable[[bytes], str | None] | None:
    if name == "none":
        return None
    if name == "hash":
        return lambda record: hashlib.blake2b(record, digest_size=16).hexdigest()
    field = Field(name)

    def identity(record: bytes) -> str | None:
        value = field(record)
        return None if value is None else value.decode(errors="replace")

    return identity


def _stream_name(subject: str) -> str:
    return subject.replace(".", "_").upper()
