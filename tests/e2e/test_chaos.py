"""A relay that splits, stalls, resets and half-closes, on each side of the proxy: right answers or clean errors, never
another's rows, never a hang, and a proxy that goes on."""

import os
import random
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from support.chaos import ChaosRelay
from support.hyperdrive import Hyperdrive
from support.pgwire import Closed, Connection, Refused
from support.ports import wait_for
from support.postgres import Postgres

DRIVERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "drivers")


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        yield pg


class Chain:
    """client -> near relay -> proxy -> far relay -> Postgres"""

    def __init__(self, origin, *flags):
        self.origin, self.flags = origin, flags

    def __enter__(self):
        self.far = ChaosRelay(self.origin.port).__enter__()
        self.hd = Hyperdrive().__enter__()
        self.hd.create("chaos", self.origin.url().replace(str(self.origin.port), str(self.far.port)), "--caching-disabled",
                       "--origin-connection-limit", "2", *self.flags)
        self.proxy_url = self.hd.start("chaos")
        self.near = ChaosRelay(int(self.proxy_url.rsplit(":", 1)[1].split("/")[0])).__enter__()
        self.url = self.proxy_url.rsplit(":", 1)[0] + f":{self.near.port}/" + self.proxy_url.rsplit("/", 1)[1]
        return self

    def __exit__(self, *exc):
        self.near.__exit__()
        self.hd.__exit__(*exc)
        self.far.__exit__()

    def still_serves(self):
        """A fresh client gets its answer, on an origin connection that is in order."""
        def once():
            with psycopg.connect(self.proxy_url, autocommit=True, connect_timeout=20) as db:
                return db.execute("select %s::int", [7]).fetchone() == (7,)
        try:
            return once()
        except psycopg.Error:
            return False


@pytest.fixture()
def chain(origin):
    with Chain(origin) as c:
        yield c


def run_driver(script, url, timeout=800):
    result = subprocess.run([sys.executable, os.path.join(DRIVERS, script), url], capture_output=True, text=True,
                            timeout=timeout, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]


SHORT = """
import asyncio, psycopg, sys
url = sys.argv[1]
with psycopg.connect(url, autocommit=True) as db:
    for i in range(12):
        assert db.execute("select %s::int, %s::text", [i, "v" * i]).fetchone() == (i, "v" * i)
    with db.pipeline():
        cursors = [db.execute("select %s::int", [i]) for i in range(20)]
    assert [c.fetchone()[0] for c in cursors] == list(range(20))
    assert len(db.execute("select n from generate_series(1, 500) n").fetchall()) == 500
    try:
        db.execute("select 1/0")
    except psycopg.errors.DivisionByZero:
        pass
    with db.transaction():
        assert db.execute("select %s::text", ["in a transaction"]).fetchone()[0] == "in a transaction"
"""


@pytest.mark.parametrize("side", ["near", "far"])
@pytest.mark.parametrize("size", [1, 3])
def test_single_bytes_change_no_answer(chain, side, size):
    getattr(chain, side).split = size
    result = subprocess.run([sys.executable, "-c", SHORT, chain.url], capture_output=True, text=True, timeout=480)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("side", ["near", "far"])
def test_the_psycopg_matrix_passes_in_small_pieces(chain, side):
    getattr(chain, side).split = 1400
    run_driver("matrix_psycopg3.py", chain.url)


def clients_under_fire(url, stop, wrong, served):
    """Reads that carry their own identity: an answer that is not ours is a wrong row."""
    n = 0
    ident = threading.get_ident() % 1_000_000
    while not stop.is_set():
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=40) as db:
                for _ in range(5):
                    n += 1
                    row = db.execute("select %s::int, %s::int, repeat('x', 300)", [ident, n]).fetchone()
                    if row[:2] != (ident, n):
                        wrong.append((ident, n, row))
                    served.append(1)
        except (psycopg.Error, OSError):
            pass


@pytest.mark.parametrize("side", ["near", "far"])
def test_resets_in_mid_message_give_clean_errors_and_no_wrong_rows(chain, side):
    relay = getattr(chain, side)
    stop, wrong, served = threading.Event(), [], []
    threads = [threading.Thread(target=clients_under_fire, args=(chain.url, stop, wrong, served)) for _ in range(8)]
    [t.start() for t in threads]
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        relay.cut_after = dice.choice([None, dice.randint(1, 3000)])
        if dice.random() < .3:
            relay.reset_all()
        stop.wait(dice.random() * .1)
    relay.cut_after = None
    relay.reset_all()
    before = len(served)
    wait_for(lambda: len(served) > before + 50, 30, "clients are served again")
    stop.set()
    [t.join(120) for t in threads]
    assert not any(t.is_alive() for t in threads), "a client hangs"
    assert not wrong, wrong[:3]
    wait_for(chain.still_serves, 20, "a fresh client is served")
    assert chain.hd.stats("chaos")["origin_connections"] <= 2


def test_an_origin_that_closes_half_is_replaced(chain):
    chain.far.half_close_after = 2000
    errors = 0
    for i in range(20):
        try:
            with psycopg.connect(chain.url, autocommit=True, connect_timeout=20) as db:
                assert db.execute("select %s::int, repeat('y', 500)", [i]).fetchone()[0] == i
        except psycopg.Error:
            errors += 1
    chain.far.half_close_after = None
    wait_for(chain.still_serves, 20, "a fresh origin connection")


def test_a_client_that_goes_away_in_the_midst_gives_its_connection_back(chain):
    for how in ("query", "transaction", "copy", "half a message"):
        for _ in range(4):
            c = Connection.open(chain.proxy_url)
            if how == "query":
                c.send(b"Q\0\0\0\x18select pg_sleep(2)\0\0"[:25])
            elif how == "transaction":
                c.query("begin")
                c.query("create temp table if not exists abandoned (x int) on commit drop")
            elif how == "copy":
                c.query("create table if not exists chaos_copy (k int)")
                c.send(b"Q\0\0\0\x20copy chaos_copy from stdin;\0\0"[:33])
            else:
                c.send(b"P\0\0\1\0half a Parse")
            c.socket.close()
    wait_for(chain.still_serves, 20, "connections come back")
    assert chain.hd.stats("chaos")["origin_connections"] <= 2


def test_an_origin_restart_costs_only_the_work_in_flight(origin):
    with Chain(origin) as chain:
        wait_for(chain.still_serves, 20, "the first answer")
        held = Connection.open(chain.proxy_url)
        assert held.value("select 5") == "5"
        origin.restart()
        wait_for(chain.still_serves, 30, "the proxy finds the restarted origin")
        assert held.value("select 6") == "6", "an idle client need not notice"
        held.close()


def test_an_origin_that_is_gone_is_said_so_and_comes_back(origin):
    with Chain(origin, "--wait-timeout", "3s") as chain:
        wait_for(chain.still_serves, 20, "the first answer")
        held = Connection.open(chain.proxy_url)
        origin.stop()
        with pytest.raises((Refused, Closed)) as caught:
            held.value("select 1")
        if isinstance(caught.value, Refused):
            assert caught.value.code[:2] in ("08", "57", "53"), caught.value
        origin.start()
        wait_for(chain.still_serves, 30, "the proxy finds the origin again")
