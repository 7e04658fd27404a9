"""Records to a Redis stream: pipelined XADD, acknowledged by the server's replies."""

from __future__ import annotations

from typing import Any

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.backlog import Batch
from simtom_pipelines.replay.sinks.courier import Courier, Retries, Unavailable
from simtom_pipelines.replay.sinks.extras import Address, missing_extra
from simtom_pipelines.replay.sinks.options import Options
from simtom_pipelines.replay.sinks.tls import Tls, distrusted

PORT = 6_379
_PASSING = "MISCONF", "NOREPLICAS", "LOADING"
"""Replies that redis-py gives no class of their own and that pass by themselves."""


def redis_sink(target: str, given: dict[str, object]) -> Courier:
    """Return the sink for ``redis://[user:password@]host[:port]/stream``, or ``rediss://`` with TLS."""
    address = Address.parse(target, PORT, "stream")
    options = Options("redis", address.options | given)
    carrier = RedisCarrier(
        address,
        field=options.text("field") or "record",
        maxlen=options.count("maxlen", 0, least=0),
        database=options.count("db", 0, least=0),
        timeout=options.seconds("timeout", 10.0),
        password=options.text("password"),
        tls=Tls.options(options, address.scheme == "rediss", "rediss"),
    )
    retries, count = Retries.options(options), options.count("batch", 1_000, most=100_000)
    options.finish()
    return Courier(address.plain, carrier, retries, count=count, size=4_000_000)


class RedisCarrier:
    """Adds a batch to the stream in one round trip: an entry a record, in order, ids given by the server.

    The commands are packed here: an entry differs from the next in its record only, and the client's general way takes
    four times as long.

    Args:
        address: Server and stream.
        field: Name of the entry's one field.
        maxlen: Entries that the server keeps, about; 0: all.
        database: Number of the database.
        timeout: Seconds without an answer after which the server counts as away.
        password: Instead of the address's.
        tls: Files for ``rediss://``.
    """

    def __init__(
        self,
        address: Address,
        *,
        field: str,
        maxlen: int,
        database: int,
        timeout: float,
        password: str | None,
        tls: Tls,
    ) -> None:
        try:
            import redis.connection
            import redis.exceptions
        except ImportError as error:
            raise missing_extra("redis", "redis") from error
        self._errors = redis.exceptions
        self._kind: Any = redis.connection.SSLConnection if address.scheme == "rediss" else redis.connection.Connection
        host, port = address.server()
        self._arguments: dict[str, Any] = {
            "host": host,
            "port": port,
            "db": database,
            "username": address.user,
            "password": password or address.password,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "client_name": "simtom-replay",
        }
        if address.scheme == "rediss":
            self._arguments |= {"ssl_ca_certs": tls.ca, "ssl_certfile": tls.cert, "ssl_keyfile": tls.key}
        self._stream = address.path
        trim = ["MAXLEN", "~", str(maxlen)] if maxlen else []
        words = [word.encode() for word in ("XADD", self._stream, *trim, "*", field)]
        head = b"*%d\r\n" % (len(words) + 1) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self._entry = head.replace(b"%", b"%%") + b"$%d\r\n%s\r\n"
        self._connection: Any = None

    def connect(self) -> None:
        """Connect, and look whether the name is free or a stream's."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.disconnect()
        errors = self._errors
        try:
            connection = self._kind(**self._arguments, retry=Retry(NoBackoff(), 0))
            connection.connect()
            self._connection = connection
            connection.send_command("TYPE", self._stream)
            kind = bytes(connection.read_response()).decode()
        except errors.AuthenticationError as error:
            raise SinkError(f"Redis refuses the user or password: {error}") from error
        except (errors.ConnectionError, errors.TimeoutError, OSError) as error:
            if distrusted(error):
                raise SinkError(f"the certificate of the Redis server is not trusted: {error}") from error
            raise Unavailable(f"cannot connect ({error})") from error
        except errors.ResponseError as error:
            raise self._meaning(error, 0) from error
        if kind not in ("none", "stream"):
            raise SinkError(
                f"key {self._stream!r} of the Redis server holds a {kind}, not a stream; choose another name"
            )

    def deliver(self, batch: Batch) -> None:
        """Add every record and read every reply."""
        errors, entry = self._errors, self._entry
        records = batch.records()
        accepted = 0
        try:
            if self._connection is None:
                raise Unavailable("the connection was closed")
            self._connection.send_packed_command([b"".join([entry % (len(r), r) for r in records])])
            read = self._connection.read_response
            for _ in records:
                read()
                accepted += 1
        except errors.ResponseError as error:
            raise self._meaning(error, accepted) from error
        except (errors.ConnectionError, errors.TimeoutError, OSError) as error:
            raise Unavailable(f"the connection broke ({error})", accepted) from error

    def _meaning(self, error: Exception, accepted: int) -> Exception:
        errors = self._errors
        passing = (
            errors.OutOfMemoryError,
            errors.ReadOnlyError,
            errors.MasterDownError,
            errors.TryAgainError,
            errors.ClusterDownError,
        )
        if isinstance(error, passing) or str(error).startswith(_PASSING):
            return Unavailable(f"Redis answers: {error}", accepted)
        return SinkError(f"Redis refuses to add to stream {self._stream!r}: {error}")

    def disconnect(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def abort(self) -> None:
        """Close the connection under a waiting delivery."""
        connection = self._connection
        if connection is not None:
            connection.disconnect()
