"""kill -9 anywhere: of the CLI at any moment of a create, of the proxy, of the origin. The next command tells the truth."""

import concurrent.futures
import os
import random
import signal
import sqlite3
import subprocess
import time

import psycopg
import pytest
from support.hyperdrive import BIN, Hyperdrive
from support.ports import wait_for
from support.postgres import Postgres


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        yield pg


@pytest.fixture()
def hd():
    with Hyperdrive() as hd:
        yield hd


def killed_after(hd, seconds, *args):
    process = subprocess.Popen([os.path.join(BIN, "hyperdrive"), *args], env=hd.env, cwd=hd.cwd, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait()


def test_a_create_that_is_killed_leaves_all_or_nothing(hd, origin):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    acknowledged = []
    for n in range(40):
        name = f"config-{n}"
        if killed_after(hd, dice.random() * 0.08, "create", name, "--connection-string", origin.url()) == 0:
            acknowledged.append(name)
        listed = {c["name"]: c for c in hd.json("list", "--json")}
        assert set(acknowledged) <= set(listed), "nothing that was acknowledged is lost"
        if name in listed:
            assert listed[name]["origin"]["database"] == "shop"
            assert hd("url", name).startswith("postgresql://")
        else:
            hd("create", name, "--connection-string", origin.url(), "--no-verify")
            acknowledged.append(name)
    with sqlite3.connect(os.path.join(hd.home, "registry.db")) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_start_that_is_killed_can_be_done_again(hd, origin):
    hd.create("shop", origin.url())
    dice = random.Random(7)
    for _ in range(12):
        killed_after(hd, dice.random() * 0.06, "start", "shop")
        url = hd.start("shop")
        with psycopg.connect(url, autocommit=True) as db:
            assert db.execute("select 1").fetchone() == (1,)
        hd("stop", "shop")
        assert hd.json("status", "--json") is not None


def test_a_restart_that_is_killed_can_be_done_again(hd, origin):
    hd.create("shop", origin.url())
    url = hd.start("shop")
    dice = random.Random(8)
    for n in range(16):
        killed_after(hd, dice.random() * 0.12, "restart", "shop")
        if n % 4 == 3:
            hd("stop", "shop")
            hd("start", "shop")
        else:
            hd("restart", "shop")
        with psycopg.connect(url, autocommit=True) as db:
            assert db.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("name, original", [("wrangler.toml", 'name = "w"\n'), ("wrangler.jsonc", '{ "name": "w" }\n')])
def test_a_bind_that_is_killed_leaves_the_file_whole_and_nothing_beside_it_for_long(hd, name, original):
    hd("create", "shop", "--connection-string", "postgres://u:p@h/d", "--no-verify")
    path = os.path.join(hd.cwd, name)
    with open(path, "w") as f:
        f.write(original)
    hd("bind", "shop")
    with open(path) as f:
        bound = f.read()
    dice = random.Random(9)
    for n in range(20):
        killed_after(hd, dice.random() * 0.02, *(["bind", "shop"] if n % 2 else ["unbind", "HYPERDRIVE"]))
        with open(path) as f:
            assert f.read() in (original, bound)
    # Between getting its name and taking the place a new text can be left behind: the next one takes it away.
    hd("bind", "shop")
    hd("unbind", "HYPERDRIVE")
    assert [entry for entry in os.listdir(hd.cwd) if entry != name] == []


def test_a_killed_proxy_is_told_and_its_port_is_kept(hd, origin):
    hd.create("shop", origin.url())
    url = hd.start("shop")
    os.kill(hd.pid("shop"), signal.SIGKILL)
    status = hd.run("status", "shop")
    assert "running" not in status.stdout.lower().replace("not running", ""), status.stdout
    assert hd.start("shop") == url, "the connection string stays valid"
    with psycopg.connect(url, autocommit=True) as db:
        assert db.execute("select 1").fetchone() == (1,)
    wait_for(lambda: origin.backends("Hyperdrive") <= 2, 20, "the dead proxy's connections are gone")


def test_a_killed_origin_is_survived(hd):
    with Postgres() as own:
        hd.create("own", own.url())
        url = hd.start("own")
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("select 1")
        own.restart(signal.SIGQUIT)

        def serves():
            try:
                with psycopg.connect(url, autocommit=True, connect_timeout=5) as db:
                    return db.execute("select 2").fetchone() == (2,)
            except psycopg.Error:
                return False
        wait_for(serves, 30, "the proxy is back with its origin")


def test_two_creates_of_one_name_at_once_give_one_winner_and_2017(hd, origin):
    for n in range(5):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda _: hd.run("create", f"same-{n}", "--connection-string", origin.url()), range(2)))
        assert sorted(r.returncode for r in results) == [0, 1]
        loser = next(r for r in results if r.returncode)
        assert "2017" in loser.stderr, loser.stderr
    assert len(hd.json("list", "--json")) == 5


def test_200_creates_by_8_processes_give_200_rows(hd):
    def some(worker):
        for n in range(25):
            hd("create", f"w{worker}-{n}", "--connection-string", "postgresql://u:p@db.example.com/d", "--no-verify")
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))
    print(f"200 creates in {time.monotonic() - begin:.1f} s")
    configs = hd.json("list", "--json")
    assert len({c["name"] for c in configs}) == 200
    ports = {hd("url", c["name"]).rsplit(":", 1)[1].split("/")[0] for c in configs[:40]}
    assert len(ports) == 40, "every config has a port of its own"
