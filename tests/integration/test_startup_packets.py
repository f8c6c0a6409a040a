"""The first bytes of a connection, right and wrong: the proxy answers them as Postgres does, or falls silent as it does."""

import socket
import struct

import pytest
from support import pgwire as w
from support.ports import PATIENCE
from support.postgres import Postgres
from support.proxy import Proxy

SSL, GSS, CANCEL = 80877103, 80877104, 80877102


def packet(*words: int, body: bytes = b"", length: int | None = None) -> bytes:
    whole = struct.pack(f"!{len(words)}I", *words) + body
    return struct.pack("!I", length if length is not None else len(whole) + 4) + whole


def startup(server, *parts: bytes, version: int = 3 << 16, end: bytes = b"\0") -> bytes:
    names = b"user\0" + server.user.encode() + b"\0database\0shop\0"
    return packet(version, body=names + b"".join(parts) + end)


def of_length(server, length: int) -> bytes:
    filler = b"application_name\0"
    return startup(server, filler + b"a" * (length - len(startup(server, filler, b"\0"))) + b"\0")


ONE = {
    "Terminate": lambda s: w.TERMINATE, "a Query": lambda s: w.query("select 1"), "HTTP": lambda s: b"GET / HTTP/1.1\r\n\r\n",
    "length 0": lambda s: packet(3 << 16, length=0), "length 7": lambda s: packet(3 << 16, length=7),
    "no parameters": lambda s: packet(3 << 16), "only an end": lambda s: packet(3 << 16, body=b"\0"),
    "10004 bytes": lambda s: of_length(s, 10004), "10005 bytes": lambda s: of_length(s, 10005),
    "no end": lambda s: startup(s, end=b""), "two ends": lambda s: startup(s, end=b"\0\0"),
    "a value without end": lambda s: startup(s, b"options\0x", end=b""), "a name without value": lambda s: startup(s, b"options\0"),
    "no user": lambda s: packet(3 << 16, body=b"database\0shop\0\0"),
    "two users": lambda s: startup(s, b"user\0\0"),
    "version 0.0": lambda s: startup(s, version=0), "version 2.0": lambda s: startup(s, version=2 << 16),
    "version 4.1": lambda s: startup(s, version=4 << 16 | 1), "no such request": lambda s: packet(1234 << 16 | 5681),
    "an option of the protocol": lambda s: startup(s, b"_pq_.a\0x\0_pq_.b\0\0"),
    "a long SSLRequest": lambda s: packet(SSL, 0), "an SSLRequest and more": lambda s: packet(SSL) + startup(s),
    "a short cancel": lambda s: packet(CANCEL), "a cancel without key": lambda s: packet(CANCEL, 1),
    "a wrong cancel": lambda s: packet(CANCEL, 1, 1), "a huge cancel": lambda s: packet(CANCEL, 1, body=b"k" * 1000),
    **{f"replication={v}": lambda s, v=v: startup(s, b"replication\0" + v.encode() + b"\0")
       for v in ("", "o", "OF", "f", "no", "0", "2", "truex", "maybe")},
}
MORE = {
    "TLS twice": lambda s: [packet(SSL), packet(SSL)], "nonsense behind a refusal": lambda s: [packet(SSL), w.TERMINATE],
    "a Query for a password": lambda s: [startup(s), w.query("select 1")],
    "Terminate for a password": lambda s: [startup(s), w.TERMINATE],
    "a short password": lambda s: [startup(s), b"p\0\0\0\3"], "a huge password": lambda s: [startup(s), b"p\x7f\0\0\0"],
    "no such mechanism": lambda s: [startup(s), w.message(b"p", b"OAUTH\0\0\0\0\3n,,")],
    "a mechanism alone": lambda s: [startup(s), w.message(b"p", b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
                                    w.message(b"p", b"n,,n=,r=abcdef")],
}


@pytest.fixture(scope="module")
def servers():
    with Postgres() as pg, Proxy(pg) as proxy:
        yield pg, proxy


def take(raw: bytes, at: int, user: str) -> tuple:
    """What stands at `at`, as far as two servers must agree on it, and where it ends."""
    if raw[at:at + 1] in (b"N", b"S") and raw[at + 1:at + 3] != b"\0\0":
        return chr(raw[at]), at + 1
    if raw[at:at + 5] == b"EFATA":
        return ("E", raw[at:].replace(b"to 3.2", b"to 3.0")), len(raw)
    kind, end = chr(raw[at]), at + 1 + struct.unpack_from("!I", raw, at + 1)[0]
    if kind != "E":
        return (kind, raw[at + 5:at + 9] if kind == "R" else raw[at + 9:end]), end
    fields = w.error_fields(raw[at + 5:end])
    said = fields["M"].replace(user, "USER").replace("to 3.2", "to 3.0")
    return (kind, fields["S"], fields["C"], said, fields.get("D")), end


def answers(raw: bytes, user: str) -> list:
    heard, at = [], 0
    while at < len(raw):
        answer, at = take(raw, at, user)
        heard.append(answer)
    return heard


def heard(server, steps: list[bytes]) -> list:
    """All answers, up to the end of the connection: the server's, or ours where it waits for more."""
    raw = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20 * PATIENCE) as s:
        try:
            for step in steps[:-1]:
                s.sendall(step)
                raw += s.recv(65536)
            s.sendall(steps[-1])
            while more := s.recv(65536):
                raw += more
                if answers(raw, server.user)[-1][0] in "RN":
                    s.shutdown(socket.SHUT_WR)
        except OSError:
            pass   # it has not read all of it
    return answers(raw, server.user)


@pytest.mark.parametrize("what", ONE)
def test_a_first_packet_is_answered_as_by_postgres(servers, what):
    pg, proxy = (heard(server, [ONE[what](server)]) for server in servers)
    assert proxy == pg


@pytest.mark.parametrize("what", MORE)
def test_what_follows_it_is_answered_as_by_postgres(servers, what):
    pg, proxy = (heard(server, MORE[what](server)) for server in servers)
    assert proxy == pg


@pytest.mark.parametrize("value", ["database", "true", "t", "YES", "on", "1"])
def test_replication_is_refused_however_it_is_asked_for(servers, value):
    refused = heard(servers[1], [startup(servers[1], b"replication\0" + value.encode() + b"\0")])
    assert [answer[2] for answer in refused] == ["0A000"]


def test_gss_encryption_is_refused_once_and_tls_may_be_asked_for_then(servers):
    assert heard(servers[1], [packet(GSS), packet(SSL), startup(servers[1])])[:2] == ["N", "N"]
    assert [a[2] for a in heard(servers[1], [packet(GSS), packet(GSS)])[1:]] == ["0A000"]


def test_a_message_that_cannot_be_ends_the_session_as_in_postgres(servers):
    for said, code in ((b"\xff", "08P01"), (b"p", "08P01"), (b"S\0\0\0\3", None), (b"Q\x7f\xff\xff\xff", None)):
        for server in servers:
            with w.Connection.open(server.url()) as client:
                client.send(said)
                assert (client.receive()[1] if code else b"C").count(b"C" + (code or "").encode()) == 1, (server, said)
                with pytest.raises((w.Closed, ConnectionResetError)):
                    client.receive()
