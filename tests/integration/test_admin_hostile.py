"""The admin API against those who do not speak it well: garbage, slow and endless requests, too many readers."""

import contextlib
import socket
import time

import psycopg
import pytest
from support.ports import PATIENCE, free_port, wait_for
from support.postgres import Postgres
from support.proxy import Proxy

CONNECTIONS, REQUEST_SECONDS = 64, 10   # docs/admin-api.md, "Errors"


@pytest.fixture(scope="module")
def proxy():
    with Postgres() as pg, Proxy(pg, local={"admin_port": free_port()}) as proxy:
        yield proxy


def unix(proxy):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30 * PATIENCE)
    s.connect(proxy.admin_socket)
    return s


def tcp(proxy):
    return socket.create_connection(("127.0.0.1", proxy.document["config"]["local"]["admin_port"]), timeout=30 * PATIENCE)


def all_of(s):
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := s.recv(65536):
            data += chunk
    return data


def serves(proxy):
    with psycopg.connect(proxy.url(), autocommit=True) as db:
        assert db.execute("select 1").fetchone() == (1,)
    assert proxy.status()["state"] == "running"


@pytest.mark.parametrize("way", [unix, tcp])
@pytest.mark.parametrize("garbage", [
    b"\0" * 100, b"\xff" * 5000, b"\x16\x03\x01\x02\x00\x01\x00", b"HELLO\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n0123456789",
    b"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
], ids=["zeros", "ones", "tls", "words", "method", "version", "negative", "lengths", "chunk", "path", "headers"])
def test_garbage_ends_its_own_connection_only(proxy, way, garbage):
    with way(proxy) as s:
        with contextlib.suppress(OSError):
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
        answer = all_of(s)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    serves(proxy)


def test_a_body_above_the_limit_is_refused_before_it_is_sent(proxy):
    with unix(proxy) as s:
        s.sendall(b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000000\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 413")
    before = proxy.rss_kb()
    with unix(proxy) as s, contextlib.suppress(OSError):
        s.sendall(b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            s.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    assert proxy.rss_kb() < before + 32 * 1024
    serves(proxy)


def test_a_request_that_does_not_come_to_its_end_is_hung_up_on(proxy):
    with unix(proxy) as silent, unix(proxy) as half, tcp(proxy) as trickle:
        half.sendall(b"GET /v1/stats HTTP/1.1\r\nHost: loc")
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begin < REQUEST_SECONDS * 4:
                trickle.sendall(b"G")
                time.sleep(0.5)
        assert time.monotonic() - begin < REQUEST_SECONDS * 4, "byte by byte one could hold a connection for ever"
        all_of(half)
        silent.close()
    serves(proxy)


def test_whoever_fills_the_port_without_a_token_leaves_the_socket_usable(proxy):
    silent = [tcp(proxy) for _ in range(CONNECTIONS)]
    wait_for(lambda: not is_answered(proxy), 20, "the port to be full")
    assert proxy.admin("GET", "/v1/status")[0] == 200
    for s in silent:
        s.close()


def is_answered(proxy):
    """By the port, which hangs up on whoever is one too many."""
    with tcp(proxy) as s, contextlib.suppress(OSError):
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return bool(s.recv(1))
    return False


def test_more_readers_than_there_may_be_take_nothing_from_the_queries(proxy):
    readers = []
    for _ in range(CONNECTIONS + 30):
        with contextlib.suppress(OSError):
            s = unix(proxy)
            s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            readers.append(s)
    with psycopg.connect(proxy.url(), autocommit=True) as db:
        for i in range(500):
            assert db.execute("select %s::int", [i]).fetchone() == (i,)
    for s in readers:
        s.close()
    wait_for(lambda: proxy.status()["state"] == "running", 20, "there is room again")
    serves(proxy)
