"""Clients and origins that send anything: others get right answers meanwhile, and afterwards everything is as before.

HYPERDRIVE_SEED=N repeats a run; HYPERDRIVE_HOSTILE=N makes it N times as long."""

import os
import random
import socket
import struct
import threading
import time

import pymysql
import pytest

from support import mywire
from support import pgwire as w
from support.mariadb import MariaDB
from support.mutating import MutatingRelay, mutated
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.proxy import Proxy

SEED = int(os.environ.get("HYPERDRIVE_SEED") or random.SystemRandom().randrange(1 << 30))
TIMES = int(os.environ.get("HYPERDRIVE_HOSTILE", "1"))
LOCAL = {"query_timeout": "2s", "transaction_idle_timeout": "2s"}


@pytest.fixture(scope="module")
def pg():
    with Postgres() as server:
        server.psql("create table items as select i as id, repeat('x', 50) as v from generate_series(1, 200) i",
                    user=server.user, database=server.database)
        yield server


@pytest.fixture(scope="module")
def maria():
    with MariaDB() as server:
        server.sql("create table items as select seq as id, repeat('x', 50) as v from seq_1_to_200", server.database)
        yield server


class Witness:
    """A client of good manners that asks all the time and must get right answers."""

    def __init__(self, ask):
        self.ask, self.asked, self.wrong, self.over = ask, 0, None, False
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        self.thread.join()
        assert self.wrong is None, f"HYPERDRIVE_SEED={SEED}: {self.wrong!r}"
        assert self.asked > 0

    def _run(self):
        while not self.over and self.wrong is None:
            try:
                answer = self.ask(self.asked)
                if answer != self.asked + 1:
                    self.wrong = answer
            except Exception as error:  # whatever it is, it must not be
                self.wrong = error
            self.asked += 1


def shout(port: int, *pieces: bytes):
    """Says all that and hears what comes, at most for a moment."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE) as s:
            for piece in pieces:
                s.sendall(piece)
            s.settimeout(0.02)
            while s.recv(65536):
                pass
    except OSError:
        pass


PG_PARTS = [
    w.startup({"user": "hyperdrive", "database": "shop"}), struct.pack("!II", 8, 80877103),
    struct.pack("!IIII", 16, 80877102, 7, 9), struct.pack("!II", 8, 80877104), b"\x16\x03\x01\x02\x00\x01",
    w.message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", 12) + b"n,,n=,r=abcd"),
    w.message(b"p", b"c=biws,r=abcd,p=" + b"A" * 43 + b"="),
]
PG_WORDS = [
    w.query("select id, v from items"), w.query("begin"), w.query("select 1/0; select 2"),
    w.parse("", "select $1::int + 1"), w.parse("a", "select v from items where id = $1"), w.parse("a", "select 1"),
    w.bind("", "", [5]), w.bind("p", "a", [7]), w.describe("S", "a"), w.describe("P", ""), w.execute(), w.execute("p", 3),
    w.close("S", "a"), w.close("P", "p"), w.FLUSH, w.SYNC, w.query("copy items from stdin"), w.copy_data(b"1\tx\n"),
    w.COPY_DONE, w.copy_fail("no"), w.message(b"F", struct.pack("!IHHH", 1, 0, 0, 0)), w.query("deallocate all"),
    w.query("listen a"), w.query("set search_path to pg_temp"), w.query("create temp table t (i int)"),
]


@pytest.mark.parametrize("policy", ["hyperdrive", "pin"])
def test_postgres_clients_that_send_anything_disturb_nobody(pg, policy):
    dice = random.Random(SEED)
    caching = {"disabled": policy == "pin"}
    with Proxy(pg, origin_connection_limit=4, caching=caching, local=LOCAL | {"session_features": policy}) as proxy:
        good = w.Connection.open(proxy.url())

        def ask(n):
            good.send(w.parse("", "select $1::int + 1"), w.bind("", "", [n]), w.describe("P"), w.execute(), w.SYNC)
            rows = [w.data_row(b) for k, b in good.until_ready() if k in "DE"]
            return int(rows[0][0])
        for _ in range(30):
            shout(proxy.port, *(dice.choice(PG_PARTS) for _ in range(3)))
        before = proxy.rss_kb()
        with Witness(ask):
            for _ in range(60 * TIMES):
                shout(proxy.port, mutated(b"".join(dice.choices(PG_PARTS, k=2)), dice))
            for _ in range(60 * TIMES):
                try:
                    bad = w.Connection.open(proxy.url())
                    said = b"".join(dice.choices(PG_WORDS, k=dice.randint(1, 12)))
                    bad.send(mutated(said, dice) if dice.random() < 0.7 else said)
                    bad.socket.settimeout(0.05)
                    while bad.socket.recv(65536):
                        pass
                except (OSError, w.Closed, w.Refused):
                    pass
                bad.socket.close()
        wait_for(lambda: proxy.stats()["clients"] == 1, 20, f"only the witness is left (HYPERDRIVE_SEED={SEED})")
        assert proxy.rss_kb() - before < 60_000
        good.close()
        proxy.wait_quiet()
        with w.Connection.open(proxy.url()) as other:
            assert other.value("select count(*) from items") == "200"
            assert other.value("select to_regclass('t')") is None


def test_mysql_clients_that_send_anything_disturb_nobody(maria):
    dice = random.Random(SEED)
    words = [mywire.query("select id, v from items"), mywire.query("begin"), mywire.query("select 1/0"), b"\x0e",
             b"\x16select ? + 1", b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x03\0\x05\0\0\0", b"\x18\x01\0\0\0\0\0long", b"\x19\x01\0\0\0",
             b"\x1a\x01\0\0\0", b"\x1c\x01\0\0\0\x01\0\0\0", b"\x1b\0\0", b"\x02" + maria.database.encode(), b"\x1f", b"\x04items\0",
             b"\x09", b"\x0c\x01\0\0\0", b"\x11x\0\0shop\0", mywire.query("load data local infile 'x' into table items"),
             mywire.query("set @a = 1"), mywire.query("select get_lock('a', 0)"), b"\xfa\x01\0\0\0\0\0"]
    with Proxy(maria, origin_connection_limit=4, caching={"disabled": False}, local=LOCAL) as proxy:
        good = pymysql.connect(**proxy.login())

        def ask(n):
            with good.cursor() as cursor:
                cursor.execute("select %s + 1", (n,))
                return cursor.fetchone()[0]
        for _ in range(30):
            shout(proxy.port, dice.randbytes(40))
        before = proxy.rss_kb()
        with Witness(ask):
            for _ in range(40 * TIMES):
                hello = mywire.Wire.framed(struct.pack("<IIB", 0x00AAA285, 1 << 24, 45) + bytes(23) + b"hyperdrive\0\x14" + bytes(20), 1)
                shout(proxy.port, mutated(hello, dice))
            for _ in range(60 * TIMES):
                try:
                    bad = mywire.Wire(proxy.port, proxy.user, proxy.password, proxy.database)
                    for word in dice.choices(words, k=dice.randint(1, 8)):
                        packet = mywire.Wire.framed(word)
                        bad.socket.sendall(mutated(packet, dice) if dice.random() < 0.4 else packet)
                    bad.socket.settimeout(0.05)
                    while bad.socket.recv(65536):
                        pass
                except (OSError, EOFError, mywire.Refused):
                    pass
                bad.socket.close()
        wait_for(lambda: proxy.stats()["clients"] == 1, 20, f"only the witness is left (HYPERDRIVE_SEED={SEED})")
        assert proxy.rss_kb() - before < 60_000
        good.close()
        proxy.wait_quiet()
        with pymysql.connect(**proxy.login()) as other, other.cursor() as cursor:
            cursor.execute("select count(*), @a, is_free_lock('a') from items")
            assert cursor.fetchone() == (200, None, 1)


def tormented(proxy, relay, ask):
    """Questions while the origin lies; each ends within the proxy's own times."""
    before = proxy.rss_kb()
    relay.lies = 0.15
    begin = time.monotonic()
    for n in range(80 * TIMES):
        try:
            ask(n)
        except Exception:  # noqa: BLE001  any error is right but no answer at all
            pass
        assert proxy.process.poll() is None, f"HYPERDRIVE_SEED={SEED}\n{proxy.log()[-3000:]}"
        if time.monotonic() - begin > 4 * TIMES:
            break
    assert relay.told > 0
    relay.lies = 0.0
    relay.reset()
    assert proxy.rss_kb() - before < 100_000


@pytest.mark.parametrize("policy", ["hyperdrive", "pin"])
def test_a_postgres_origin_that_lies_is_survived(pg, policy):
    with MutatingRelay(pg.port, SEED) as relay, Proxy(
            pg, port=relay.port, origin_connection_limit=3, caching={"disabled": False},
            local=LOCAL | {"session_features": policy, "connect_timeout": "2s", "wait_timeout": "3s"}) as proxy:
        def ask(n):
            with w.Connection.open(proxy.url(), timeout=6 * PATIENCE) as c:
                if n % 2:
                    c.query("select id, v from items; select 1")
                else:
                    c.send(w.parse("s", "select v from items where id = $1"), w.bind("", "s", [n]), w.describe("P"),
                           w.execute(), w.SYNC)
                    c.until_ready()

        def right():
            try:
                with w.Connection.open(proxy.url()) as c:
                    return c.value("select count(*) from items where id > 0") == "200"
            except (w.Refused, w.Closed):
                return False
        assert right()
        tormented(proxy, relay, ask)
        wait_for(right, 30, f"right answers again (HYPERDRIVE_SEED={SEED})", every=0.2)
        proxy.wait_quiet()


def test_a_mysql_origin_that_lies_is_survived(maria):
    with MutatingRelay(maria.port, SEED) as relay, Proxy(
            maria, port=relay.port, origin_connection_limit=3, caching={"disabled": False},
            local=LOCAL | {"connect_timeout": "2s", "wait_timeout": "3s"}) as proxy:
        def ask(n):
            with mywire.Wire(proxy.port, proxy.user, proxy.password, proxy.database) as c:
                c.socket.settimeout(0.3)
                c.send(mywire.query("select id, v from items") if n % 2 else b"\x16select v from items where id = 7")
                while data := c.socket.recv(65536):
                    if data.endswith(b"\2\0") or b"\xfe" in data:
                        break

        def right():
            try:
                with pymysql.connect(**proxy.login()) as c, c.cursor() as cursor:
                    cursor.execute("select count(*) from items where id > 0")
                    return cursor.fetchone() == (200,)
            except (pymysql.Error, OSError):
                return False
        assert right()
        tormented(proxy, relay, ask)
        wait_for(right, 30, f"right answers again (HYPERDRIVE_SEED={SEED})", every=0.2)
        proxy.wait_quiet()
