"""Sinks whose server asks for TLS, a password, a token, a certificate or credentials; what is refused ends at once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import nats
import nkeys
import polars as pl
import pytest
import redis
import trustme

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import open_sink
from tests.simtom_pipelines.replay.sink_servers import OwnServer, free_port, in_loop, own_nats

COUNT = 500
BUFFER, OFFSETS = encode(pl.DataFrame({"n": range(COUNT)}))
RECORDS = bytes(BUFFER).splitlines()


def deliver(target: str, **options: Any) -> None:
    sink = open_sink(target, zone="UTC", **options)
    try:
        sink.open(threading.Event())
        sink.send(BUFFER, OFFSETS, 0, COUNT)
        sink.flush()
        assert sink.acked() == COUNT
    finally:
        sink.close()


@dataclass
class Files:
    """Certificates of one authority, and the authority of somebody else."""

    ca: str
    server: str
    server_key: str
    client: str
    client_key: str
    stranger: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.com")
    made = {
        "ca": authority.cert_pem,
        "server": server.cert_chain_pems[0],
        "server_key": server.private_key_pem,
        "client": client.cert_chain_pems[0],
        "client_key": client.private_key_pem,
        "stranger": trustme.CA().cert_pem,
    }
    for name, pem in made.items():
        pem.write_to_path(str(folder / f"{name}.pem"))
    return Files(**{name: str(folder / f"{name}.pem") for name in made})


# -- Redis ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secured_redis(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server with TLS alone that wants a password and a certificate of its clients."""
    port = free_port()
    arguments = [
        "--port",
        "0",
        "--tls-port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--requirepass",
        "se cret",
    ]
    arguments += ["--tls-cert-file", files.server, "--tls-key-file", files.server_key, "--tls-ca-cert-file", files.ca]
    server = OwnServer("redis-server", [*arguments, "--dir", str(tmp_path_factory.mktemp("redis"))], port)
    server.start()
    yield server
    server.kill()


def test_redis_with_tls_a_certificate_and_a_password(files: Files, secured_redis: OwnServer) -> None:
    mine = {"ca": files.ca, "cert": files.client, "key": files.client_key}
    deliver(f"rediss://{secured_redis.address}/secured", password="se cret", **mine)
    host, _, port = secured_redis.address.partition(":")
    with redis.Redis(
        host, int(port), password="se cret", ssl=True,
        ssl_ca_certs=files.ca, ssl_certfile=files.client, ssl_keyfile=files.client_key,
    ) as client:  # fmt: skip
        assert [fields[b"record"] for _, fields in client.xrange("secured")] == RECORDS


@pytest.mark.parametrize(
    "options, words",
    [
        ({"password": "wrong"}, "Redis refuses the user or password"),
        ({"password": "se cret", "ca": "stranger"}, "certificate of the Redis server is not trusted"),
        ({"password": "se cret", "ca": None}, "certificate of the Redis server is not trusted"),
    ],
)
def test_redis_that_refuses_ends_at_once(
    files: Files, secured_redis: OwnServer, options: dict[str, Any], words: str
) -> None:
    mine = {"ca": files.ca, "cert": files.client, "key": files.client_key} | options
    if mine["ca"] == "stranger":
        mine["ca"] = files.stranger
    began = time.monotonic()
    with pytest.raises(SinkError, match=words):
        deliver(f"rediss://{secured_redis.address}/secured", **mine)
    assert time.monotonic() - began < 5.0


# -- NATS -------------------------------------------------------------------------------------------------------------


@contextmanager
def nats_with(folder: Path, config: str) -> Iterator[str]:
    (folder / "nats.conf").write_text(config)
    with own_nats(folder / "data", "-c", str(folder / "nats.conf")) as server:
        yield server.address


def received(address: str, subject: str, **options: Any) -> list[bytes]:
    async def read() -> list[bytes]:
        client = await nats.connect(address, **options)
        reader = await client.jetstream().pull_subscribe(subject, "reader")
        found: list[bytes] = []
        while len(found) < COUNT:
            found += [message.data for message in await reader.fetch(COUNT - len(found), timeout=5.0)]
        await client.close()
        return found

    return in_loop(read())


def test_nats_with_tls_a_certificate_and_a_token(files: Files, tmp_path: Path) -> None:
    tls = f'cert_file: "{files.server}", key_file: "{files.server_key}", ca_file: "{files.ca}", verify: true'
    mine = {"ca": files.ca, "cert": files.client, "key": files.client_key}
    with nats_with(tmp_path, f"tls {{ {tls} }}\nauthorization {{ token: sesame }}") as address:
        deliver(f"tls://{address}/orders", create=True, token="sesame", **mine)
        context = ssl.create_default_context(cafile=files.ca)
        context.load_cert_chain(files.client, files.client_key)
        assert received(f"tls://{address}", "orders", tls=context, token="sesame") == RECORDS
        with pytest.raises(SinkError, match="NATS refuses the user, password or token"):
            deliver(f"tls://{address}/orders", token="wrong", **mine)
        with pytest.raises(SinkError, match="certificate of the NATS server is not trusted"):
            deliver(f"tls://{address}/orders", token="sesame", **mine | {"ca": files.stranger})


def test_nats_with_a_user_and_a_password(tmp_path: Path) -> None:
    with nats_with(tmp_path, "authorization { user: me, password: secret }") as address:
        deliver(f"nats://me:secret@{address}/orders", create=True)
        deliver(f"nats://me@{address}/orders", password="secret")
        with pytest.raises(SinkError, match="NATS refuses the user, password or token"):
            deliver(f"nats://me:wrong@{address}/orders")


def new_key(prefix: int) -> tuple[Any, bytes]:
    seed = nkeys.encode_seed(os.urandom(32), prefix)
    return nkeys.from_seed(seed), bytes(seed)


def signed(issuer: Any, subject: Any, name: str, claims: dict[str, Any]) -> str:
    """Return a JSON web token as NATS wants it."""
    public = {"iss": issuer.public_key.decode(), "sub": subject.public_key.decode(), "name": name, "iat": 1_700_000_000}
    body = {"jti": "", "nats": {**claims, "version": 2}, **public}
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).decode().rstrip("=")

    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    text = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(body).encode())}"
    return f"{text}.{encoded(issuer.sign(text.encode()))}"


def test_nats_with_a_file_of_credentials(tmp_path: Path) -> None:
    (operator, _), (account, _), (system, _), (user, seed) = (
        new_key(prefix)
        for prefix in (
            nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER,
        )
    )  # fmt: skip
    unlimited = dict.fromkeys(
        ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams",
         "consumer"), -1,
    ) | {"wildcards": True}  # fmt: skip
    nothing_kept = {**unlimited, "mem_storage": 0, "disk_storage": 0}
    accounts = {
        account: signed(operator, account, "shop", {"type": "account", "limits": unlimited}),
        system: signed(operator, system, "system", {"type": "account", "limits": nothing_kept}),
    }
    own = signed(operator, operator, "us", {"type": "operator", "system_account": system.public_key.decode()})
    tokens = ", ".join(f"{key.public_key.decode()}: {token}" for key, token in accounts.items())
    config = f"operator: {own}\nresolver: MEMORY\nresolver_preload: {{ {tokens} }}"
    rights = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    credentials = tmp_path / "me.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{signed(account, user, 'me', rights)}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    )
    with nats_with(tmp_path, config) as address:
        deliver(f"nats://{address}/orders", create=True, credentials=str(credentials))
        assert received(f"nats://{address}", "orders", user_credentials=str(credentials)) == RECORDS
        with pytest.raises(SinkError, match="NATS refuses the user, password or token"):
            deliver(f"nats://{address}/orders")


# -- webhook ----------------------------------------------------------------------------------------------------------


@contextmanager
def endpoint(files: Files) -> Iterator[tuple[str, list[bytes]]]:
    """Give the address of an HTTPS endpoint that wants a certificate of its clients, and what it was sent."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.load_cert_chain(files.server, files.server_key)
    context.verify_mode = ssl.CERT_REQUIRED
    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}/hook", taken
        finally:
            server.shutdown()
            thread.join()


def test_webhook_with_an_authority_of_its_own(files: Files) -> None:
    with endpoint(files) as (address, taken):
        deliver(address, ca=files.ca, cert=files.client, key=files.client_key)
        assert b"".join(taken).splitlines() == RECORDS
        with pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED"):
            deliver(address, ca=files.stranger, cert=files.client, key=files.client_key)


# -- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target, options, words",
    [
        ("redis://127.0.0.1/orders", {"ca": "server"}, "option 'ca' is .* only with .* rediss://"),
        ("nats://127.0.0.1/orders", {"cert": "client"}, "option 'cert' is .* only with .* tls://"),
        ("http://127.0.0.1/orders", {"key": "client_key"}, "option 'key' is .*only with .* https://"),
        ("rediss://127.0.0.1/orders", {"ca": "/none.pem"}, "option 'ca': /none.pem cannot be used"),
        ("tls://127.0.0.1/orders", {"cert": "ca"}, "option 'cert': .* cannot be used"),
        ("https://127.0.0.1/orders", {"key": "client_key"}, "'key' is given without 'cert'"),
        ("https://127.0.0.1/orders", {"ca": "ca", "verify": False}, "verify=false checks no certificate"),
    ],
)
def test_files_that_cannot_be_used_are_named(files: Files, target: str, options: dict[str, Any], words: str) -> None:
    given = {name: getattr(files, str(value), value) for name, value in options.items()}
    with pytest.raises(SinkError, match=words):
        open_sink(target, zone="UTC", **given)
