"""psql as a person uses it: \\d, \\copy, a query interrupted by Ctrl-C, and a pool that many clients share."""

import concurrent.futures
import os
import pty
import select
import subprocess
import time

import psycopg
import pytest
from support.hyperdrive import Hyperdrive
from support.ports import wait_for
from support.postgres import Postgres

PSQL = "/usr/lib/postgresql/15/bin/psql"
SHOP = os.path.join(os.path.dirname(__file__), "..", "support", "shop.sql")


@pytest.fixture(scope="module")
def shop():
    with Postgres() as pg:
        with open(SHOP) as f:
            pg.psql(f.read())
        yield pg


@pytest.fixture(scope="module")
def hd(shop):
    with Hyperdrive() as hd:
        hd.create("prod-db", shop.url(), "--origin-connection-limit", "4")
        hd.start("prod-db")
        yield hd


def psql(hd, *commands, stdin=""):
    args = [arg for c in commands for arg in ("-c", c)]
    return subprocess.run([PSQL, "-X", hd("url", "prod-db").strip(), *args], input=stdin, text=True, capture_output=True,
                          timeout=240)


def test_d_lists_tables_and_describes_one(hd):
    listed = psql(hd, "\\d")
    assert listed.returncode == 0, listed.stderr
    assert "products" in listed.stdout and "orders" in listed.stdout
    described = psql(hd, "\\d+ products")
    assert "products_category" in described.stdout, described.stderr + described.stdout


def test_copy_in_and_out(hd, tmp_path):
    out = tmp_path / "products.csv"
    result = psql(hd, f"\\copy (select id, name from products order by id) to '{out}' csv")
    assert result.returncode == 0, result.stderr
    assert out.read_text().count("\n") == 4040
    result = psql(hd, "create table copied (id int, name text)", f"\\copy copied from '{out}' csv", "select count(*) from copied",
                  "drop table copied")
    assert result.returncode == 0, result.stderr
    assert "4040" in result.stdout


def test_ctrl_c_cancels_a_long_query_and_psql_goes_on(hd, shop):
    pid, terminal = pty.fork()   # psql ends a script at Ctrl-C, so a person at a terminal is needed
    if pid == 0:
        os.environ |= {"TERM": "dumb", "PAGER": "cat"}
        os.execv(PSQL, [PSQL, "-X", "-n", hd("url", "prod-db").strip()])
    seen = b""

    def screen(what: bytes):
        nonlocal seen
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 4096)
        return what in seen
    try:
        wait_for(lambda: screen(b"shop=#"), 10, "the prompt")
        os.write(terminal, b"select pg_sleep(60);\n")
        running = "select count(*) from pg_stat_activity where query like 'select pg_sleep(60)%' and state = 'active'"
        wait_for(lambda: shop.psql(running).strip() == "1", 10, "the long query runs at the origin")
        os.write(terminal, b"\x03")
        wait_for(lambda: screen(b"canceling statement due to user request"), 10, "the cancel is told")
        os.write(terminal, b"select 'still ' || 'here';\n")
        wait_for(lambda: screen(b"still here"), 10, "psql goes on")
        wait_for(lambda: shop.psql(running).strip() == "0", 10, "nothing runs on at the origin")
        os.write(terminal, b"\\q\n")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def test_64_clients_on_a_pool_of_4_all_get_their_own_answers_and_none_starves(hd, shop):
    url = hd("url", "prod-db").strip()
    most = [0]

    def client(n):
        longest = 0.0
        with psycopg.connect(url, autocommit=True) as db:
            for i in range(25):
                begin = time.monotonic()
                row = db.execute("select %s::int, %s::int, pg_sleep(0.001)", [n, i]).fetchone()
                longest = max(longest, time.monotonic() - begin)
                assert row[:2] == (n, i)
        return longest

    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(65) as pool:
        watch = pool.submit(lambda: [most.__setitem__(0, max(most[0], shop.backends("Hyperdrive"))) for _ in range(15)])
        waits = list(pool.map(client, range(64)))
        watch.result()
    assert 1 <= most[0] <= 4, f"{most[0]} origin connections"
    took = time.monotonic() - begun
    assert max(waits) < max(10, took / 2), f"one client waited {max(waits):.1f} of {took:.1f} s"


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0\0\x08", b"\xff" * 64, b"\0\0\0\0", b"\x16\x03\x01",
                                     b"\0\0\x40\0" + b"x" * 20000, b"\0\0\0\x09\0\3\0\0\0"])
def test_garbage_or_half_a_startup_packet_ends_that_connection_only(hd, garbage):
    import socket
    url = hd("url", "prod-db").strip()
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    with psycopg.connect(url, autocommit=True) as other:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        assert other.execute("select 1").fetchone() == (1,)
