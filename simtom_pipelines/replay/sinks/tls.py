"""TLS of the sinks: which authority vouches for the server, and which certificate this side shows."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.options import Options


@dataclass(frozen=True)
class Tls:
    """Files in PEM form.

    Attributes:
        ca: Certificates of authorities; None: those that the system trusts.
        cert: This side's certificate, where the server asks for one.
        key: Its key; None: it stands in the file of the certificate.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @classmethod
    def options(cls, options: Options, secure: bool, scheme: str) -> Tls:
        """Take the options ``ca``, ``cert`` and ``key``.

        Args:
            options: The sink's.
            secure: Whether the address asks for TLS.
            scheme: What an address that does begins with.

        Raises:
            SinkError: The address asks for none, or a file is of no use.
        """
        found = cls(options.text("ca"), options.text("cert"), options.text("key"))
        for name, value in vars(found).items():
            if value is not None and not secure:
                options.refuse(name, value, f"only with an address that begins with {scheme}://")
        if found != cls():
            found.context()
        return found

    def context(self) -> ssl.SSLContext:
        """Return the context for a client.

        Raises:
            SinkError: A file is of no use; names the option.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise _unusable("ca", self.ca, error) from error
        if self.key is not None and self.cert is None:
            raise SinkError("option 'key' is given without 'cert', the certificate that it belongs to")
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except OSError as error:
                raise _unusable("cert" if self.key is None else "cert' and 'key", self.cert, error) from error
        return context


def distrusted(error: BaseException) -> bool:
    """Return whether the server's certificate was refused: it would be refused again."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _unusable(option: str, path: str | None, error: OSError) -> SinkError:
    return SinkError(f"option '{option}': {path} cannot be used ({error}); expected certificates or keys in PEM form")
