"""What sinks over a network share: their addresses, and libraries that an extra brings."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from simtom_pipelines.replay.errors import SinkError


def missing_extra(extra: str, library: str) -> SinkError:
    """Return the error of a sink whose library is not installed."""
    return SinkError(
        f"this sink needs the library {library}, which is not installed; install the extra: "
        f"pip install 'simtom-pipelines[{extra}]'"
    )


@dataclass(frozen=True)
class Address:
    """A target such as ``redis://user:password@host:6379/stream?maxlen=1000``.

    Attributes:
        scheme: Before the colon, lower case.
        servers: ``host:port`` of each server, the port as given or the default.
        path: Topic, stream or subject.
        user: User, or None.
        password: Password, or None.
        options: What follows the question mark.
        plain: The address without password and options, for messages.
    """

    scheme: str
    servers: tuple[str, ...]
    path: str
    user: str | None
    password: str | None
    options: dict[str, str]
    plain: str

    @classmethod
    def parse(cls, target: str, port: int, what: str) -> Address:
        """Return the parts of a target.

        Args:
            target: The address; several servers are separated by commas.
            port: Default port.
            what: What the path names, for messages.

        Raises:
            SinkError: A part is missing or wrong.
        """
        split = _split(target)
        credentials, _, hosts = split.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        servers = tuple(_server(host, port, split.scheme) for host in hosts.split(",") if host)
        path = unquote(split.path).strip("/")
        example = f"{split.scheme}://localhost:{port}/{what}"
        if not servers:
            raise SinkError(f"{split.scheme}://...: no server is named; expected {example}")
        plain = f"{split.scheme}://{','.join(servers)}/{path}"
        if not path:
            raise SinkError(f"{plain}: no {what} is named; expected {example}")
        if split.fragment:
            raise SinkError(
                f"{plain}: '#' begins a part that means nothing here; write %23 where it belongs to the {what}"
            )
        options: dict[str, str] = {}
        for name, value in parse_qsl(split.query, keep_blank_values=True):
            if name in options:
                raise SinkError(f"{plain}: option {name!r} is given twice")
            options[name] = value
        return cls(split.scheme, servers, path, unquote(user) or None, unquote(password) or None, options, plain)

    def server(self) -> tuple[str, int]:
        """Return host and port of the one server.

        Raises:
            SinkError: Several are named.
        """
        if len(self.servers) > 1:
            raise SinkError(f"{self.plain}: one server is expected, {len(self.servers)} are named")
        host, _, port = self.servers[0].rpartition(":")
        return host.strip("[]"), int(port)


def _split(target: str) -> SplitResult:
    try:
        return urlsplit(target)
    except ValueError as error:
        raise SinkError(f"the address cannot be read: {error}") from error


def _server(host: str, port: int, scheme: str) -> str:
    name, colon, given = host.rpartition(":")
    if not colon or host.endswith("]"):
        return f"{host}:{port}"
    if not name or not given.isdecimal() or not 0 < int(given) < 65_536:
        raise SinkError(
            f"{scheme}://{host}: {given!r} is no port; allowed: 1 to 65535, as in {scheme}://localhost:{port}"
        )
    return host
