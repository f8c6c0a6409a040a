"""The admin API of a running proxy: on its socket, and on its port with token, cookie and dashboard."""

import http.client
import json
import os
import re
import socket
import stat
import threading
import time

import psycopg
import pytest
from support.ports import free_port, wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table products(id int primary key, name text); insert into products values (1, 'a'), (2, 'b')")
        yield pg


@pytest.fixture(scope="module")
def proxy(pg):
    with Proxy(pg, local={"admin_port": free_port()}) as proxy:
        yield proxy


def get(proxy, path):
    status, body = proxy.admin("GET", path)
    assert status == 200, body
    return json.loads(body)


class Events:
    """A reader of /v1/events; `lines` grows while it lives."""

    def __init__(self, proxy, query=""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(80)
        self.socket.connect(proxy.admin_socket)
        self.socket.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.response = http.client.HTTPResponse(self.socket)
        self.response.begin()
        assert self.response.status == 200
        assert self.response.getheader("Content-Type") == "application/x-ndjson"
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def read(self):
        try:
            while line := self.response.readline():
                if line.strip():
                    self.lines.append(json.loads(line))
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def queries(self, part):
        return [e for e in list(self.lines) if e["type"] == "query" and part in e.get("sql", "")]

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.socket.close()


def test_the_socket_is_private(proxy):
    assert stat.S_IMODE(os.stat(proxy.admin_socket).st_mode) == 0o600


def test_status_tells_what_runs(proxy, pg):
    with psycopg.connect(proxy.url()) as connection:
        connection.execute("select 1")
        status = get(proxy, "/v1/status")
    assert status["name"] == "test" and status["state"] == "running" and status["scheme"] == "postgresql"
    assert status["port"] == proxy.port and status["pid"] == proxy.process.pid
    assert status["origin"]["port"] == pg.port and status["origin"]["server_version"].startswith("15.")
    assert status["origin"]["last_error"] is None
    assert f"127.0.0.1:{proxy.port}" in status["listen"]
    assert status["clients"] >= 1
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{64}", status["dashboard"])


def test_stats_count_what_happens(proxy):
    before = get(proxy, "/v1/stats")
    with psycopg.connect(proxy.url(), autocommit=True, prepare_threshold=None) as connection:
        for _ in range(7):
            connection.execute("select * from products where id = %s", (1,))
    after = wait_for(lambda: (s := get(proxy, "/v1/stats")) and s["queries"] - before["queries"] == 7 and s, 10)
    assert after["client_connects"] - before["client_connects"] == 1
    assert after["transactions"] - before["transactions"] == 7
    assert after["origin_connections"] >= 1 and after["waiting"] == 0
    assert after["latency"]["query"]["count"] > before["latency"]["query"]["count"]
    assert 0 < after["latency"]["query"]["p50_us"] <= after["latency"]["query"]["max_us"] * 1.13 + 1
    assert after["latency"]["origin"]["count"] > before["latency"]["origin"]["count"], "what the origin itself took"
    assert after["latency"]["query"]["max_us"] >= after["latency"]["origin"]["max_us"]
    assert set(after["cache"]) >= {"hit", "miss", "stale", "disabled", "uncacheable", "volatile", "transaction",
                                   "multiplestatements", "notaquery", "parseerror", "oversizedquery",
                                   "oversizedresult", "bypass", "stale_hits", "bytes", "entries", "evictions",
                                   "coalesced", "origin_ms_saved"}


def test_the_wait_for_a_connection_is_part_of_what_the_client_felt(pg):
    with Proxy(pg, origin_connection_limit=1, caching={"disabled": True}) as proxy, psycopg.connect(proxy.url()) as holder:
        holder.execute("select 1")
        waiter = threading.Thread(target=lambda: psycopg.connect(proxy.url(), autocommit=True).execute("select 2").connection.close())
        waiter.start()
        wait_for(lambda: get(proxy, "/v1/stats")["waiting"] == 1)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 0.2)
        holder.rollback()
        waiter.join(20)
        latency = get(proxy, "/v1/stats")["latency"]
        assert latency["wait"]["max_us"] > 200_000 and latency["query"]["max_us"] > 200_000


def test_parameters_are_not_in_events(proxy):
    with Events(proxy) as events:
        with psycopg.connect(proxy.url(), autocommit=True) as connection:
            connection.execute("select %s::text as parameter_test", ("do-not-show",))
        wait_for(lambda: events.queries("parameter_test"), 10)
        assert "do-not-show" not in json.dumps(events.lines)


def test_a_reader_that_does_not_read_slows_nobody(proxy):
    sleeper = socket.socket(socket.AF_UNIX)
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect(proxy.admin_socket)
    sleeper.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    sleeper.recv(100)
    text = "select '" + "x" * 3000 + "' as " + "slow_reader"
    with psycopg.connect(proxy.url(), autocommit=True) as connection:
        start = time.monotonic()
        with connection.pipeline():
            for _ in range(9000):
                connection.execute(text)
        assert time.monotonic() - start < 240
    assert get(proxy, "/v1/status")["state"] == "running"
    # Now it reads: what did not fit in its queue is counted.
    sleeper.settimeout(80)
    data = b""
    while b'"type":"dropped"' not in data:
        chunk = sleeper.recv(1 << 20)
        assert chunk, "the stream ended"
        data = data[-100:] + chunk
    sleeper.close()


def test_config_has_no_secret(proxy, pg):
    text = proxy.admin("GET", "/v1/config")[1]
    assert json.loads(text)["name"] == "test"
    assert pg.password not in text and proxy.password not in text


def test_metrics_parse(proxy):
    status, text = proxy.admin("GET", "/metrics")
    assert status == 200
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_]+(\{[^{}]*\})? [-+0-9.e]+(nan|inf)?', line, re.I), line
    assert "hyperdrive_queries_total" in text and 'hyperdrive_info{name="test"' in text


def test_errors_are_json(proxy):
    for method, path, body, expected in [("GET", "/nowhere", None, 404), ("PUT", "/v1/stats", None, 405),
                                         ("POST", "/v1/purge", "{}", 400), ("POST", "/v1/purge", "{", 400),
                                         ("POST", "/v1/explain", "[]", 400), ("POST", "/v1/reload", "{}", 400),
                                         ("GET", "/v1/queries?limit=0", None, 400)]:
        status, text = proxy.admin(method, path, body)
        assert status == expected, (path, text)
        assert json.loads(text)["error"]["message"]


def port_request(proxy, path, headers=None, method="GET"):
    port = proxy.document["config"]["local"]["admin_port"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def test_the_port_wants_its_token(proxy):
    token = get(proxy, "/v1/status")["dashboard"].split("token=")[1]
    assert proxy.password not in token
    assert port_request(proxy, "/healthz")[0] == 200
    for path in ("/", "/v1/stats", "/v1/events", "/metrics", "/dashboard.js"):
        assert port_request(proxy, path)[0] == 401
    bearer = {"Authorization": f"Bearer {token}"}
    assert port_request(proxy, "/metrics", bearer)[0] == 200
    assert port_request(proxy, "/v1/stats", bearer | {"Host": "evil.example"})[0] == 403
    assert port_request(proxy, "/v1/purge", bearer | {"Origin": "http://evil.example"}, "POST")[0] == 403
    assert port_request(proxy, "/v1/drain", bearer, "POST")[0] == 403
    assert get(proxy, "/v1/status")["state"] == "running"


def test_the_dashboard(proxy):
    address = get(proxy, "/v1/status")["dashboard"]
    status, headers, _ = port_request(proxy, address[address.index("/?"):])
    assert status == 303 and headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]
    cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
    status, headers, page = port_request(proxy, "/", cookie)
    assert status == 200 and "script-src 'self'" in headers["Content-Security-Policy"]
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert asset.startswith("/") and not asset.startswith("//")
        assert port_request(proxy, asset, cookie)[0] == 200
    assert "<script>" not in page and "innerHTML" not in port_request(proxy, "/dashboard.js", cookie)[2]
    assert port_request(proxy, "/v1/stats", cookie)[0] == 200


def test_a_second_proxy_does_not_take_the_socket(proxy, pg):
    from support.proxy import NotReady
    second = Proxy(pg, extra={"admin_socket": proxy.admin_socket})
    with pytest.raises(NotReady) as refused:
        second.start()
    assert "another proxy is listening" in str(refused.value)
    assert get(proxy, "/v1/status")["pid"] == proxy.process.pid


def test_drain_ends_the_process_and_its_socket(pg):
    with Proxy(pg) as proxy:
        with psycopg.connect(proxy.url(), autocommit=True) as connection:
            connection.execute("select 1")
            status, body = proxy.admin("POST", "/v1/drain", json.dumps({"timeout_ms": 5000}))
            assert status == 202, body
            with pytest.raises(psycopg.OperationalError):
                wait_for(lambda: connection.execute("select 1") and False, 10)
        assert proxy.process.wait(80) == 0
        assert not os.path.exists(proxy.admin_socket)
