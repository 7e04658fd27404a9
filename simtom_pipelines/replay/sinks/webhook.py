"""Records to an HTTP endpoint: batches of NDJSON by POST, acknowledged by the status of the answer."""

from __future__ import annotations

import gzip
import hashlib
import ssl
from datetime import datetime
from email.utils import parsedate_to_datetime

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.backlog import Batch
from simtom_pipelines.replay.sinks.courier import Courier, Retries, Unavailable
from simtom_pipelines.replay.sinks.extras import missing_extra
from simtom_pipelines.replay.sinks.options import Options
from simtom_pipelines.replay.sinks.tls import Tls, distrusted

LONGEST_RETRY_AFTER = 300.0
"""Seconds: what an endpoint asks for beyond is cut, so that a mistaken header does not end the stream for a day."""

_LATER = {408, 429}
_SHOWN, _READ = 200, 65_536


def webhook_sink(target: str, given: dict[str, object]) -> Courier:
    """Return the sink for an ``http://`` or ``https://`` endpoint; the whole address, query included, is its own."""
    options = Options("webhook", given)
    token = options.text("token")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for name, value in options.matching(r"header\.[A-Za-z0-9-]+", "header.NAME").items():
        headers[name.removeprefix("header.")] = value
    carrier = WebhookCarrier(
        target,
        headers=headers,
        timeout=options.seconds("timeout", 10.0),
        compress=options.flag("gzip", False),
        verify=_verification(options, target),
    )
    retries, count = Retries.options(options), options.count("batch", 1_000, most=100_000)
    size, linger = options.size("batch_bytes", 4_000_000), options.seconds("linger", 0.05, least=0.0, most=60.0)
    options.finish()
    return Courier(carrier.plain, carrier, retries, count=count, size=size or 1, linger=linger)


def _verification(options: Options, target: str) -> ssl.SSLContext | bool:
    verify, tls = options.flag("verify", True), Tls.options(options, target.startswith("https:"), "https")
    if tls == Tls():
        return verify
    if not verify:
        raise SinkError("webhook sink: verify=false checks no certificate, so ca, cert and key are not given with it")
    return tls.context()


class WebhookCarrier:
    """Posts batches over one kept connection.

    2xx accepts a batch. 408, 429 and 5xx are tried again, not before their ``Retry-After``. Any other answer is final:
    an endpoint that refuses a request would refuse it again.

    Args:
        url: The endpoint.
        headers: Further headers.
        timeout: Seconds to connect, and to wait for the next byte.
        compress: Send gzip.
        verify: How certificates are checked; False: not at all.
    """

    def __init__(
        self, url: str, *, headers: dict[str, str], timeout: float, compress: bool, verify: ssl.SSLContext | bool
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise missing_extra("webhook", "httpx") from error
        self._httpx = httpx
        self._compress = compress
        try:
            parsed = httpx.URL(url)
            if not parsed.host:
                raise SinkError(f"{url}: no host is named; expected http://localhost:8080/path")
            self.plain = str(parsed.copy_with(userinfo=b"", query=None, fragment=None))
            own = {"Content-Type": "application/x-ndjson", "User-Agent": "simtom-replay"}
            if compress:
                own["Content-Encoding"] = "gzip"
            self._client = httpx.Client(headers=own | headers, timeout=timeout, verify=verify, follow_redirects=False)
            self._request = self._client.build_request("POST", parsed)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise SinkError(f"the webhook's address or a header cannot be used: {error}") from error

    def connect(self) -> None:
        """Do nothing: the client connects, and connects again, when a batch is posted."""

    def deliver(self, batch: Batch) -> None:
        """Post a batch and read the answer."""
        httpx = self._httpx
        body = batch.join()
        key = hashlib.blake2b(body, digest_size=16).hexdigest()
        if self._compress:
            body = gzip.compress(body, 1, mtime=0)
        headers = {"Idempotency-Key": key}
        try:
            with self._client.stream("POST", self._request.url, content=body, headers=headers) as response:
                answer = b""
                for block in response.iter_bytes():
                    answer += block
                    if len(answer) > _READ:
                        break
        except httpx.TransportError as error:
            if distrusted(error):
                raise SinkError(f"{self.plain}: {error}") from error
            raise Unavailable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
        except httpx.DecodingError as error:
            raise Unavailable(f"the answer cannot be decoded: {error}") from error
        if response.is_success:
            return
        text = f"answers {response.status_code} {response.reason_phrase}".rstrip()
        shown = " ".join(answer.decode(errors="replace").split())[:_SHOWN]
        text += f": {shown}" if shown else ""
        if response.status_code in _LATER or response.status_code >= 500:
            raise Unavailable(text, after=_retry_after(response.headers))
        moved = f"; it points to {response.headers['location']}" if "location" in response.headers else ""
        raise SinkError(f"{self.plain} refuses a batch of {batch.count} records: {text}{moved}")

    def disconnect(self) -> None:
        """Close the connection."""
        self._client.close()

    def abort(self) -> None:
        """Do nothing: the wait for the answer ends by its timeout, in a thread that nothing waits for."""


def _retry_after(headers: object) -> float:
    """Return the seconds that an answer asks to wait, from its two forms; 0 where it asks for nothing readable."""
    get = headers.get  # type: ignore[attr-defined]
    text = (get("retry-after") or "").strip()
    if text.isdecimal():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    then, now = _http_date(text), _http_date(get("date") or "")
    if then is None or now is None:
        return 0.0
    return min(max((then - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
