"""Any number of commands at once: nobody sees half of anything, nothing acknowledged is lost."""

import concurrent.futures
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import time

import pytest
from support.hyperdrive import BIN, Hyperdrive, sanitized

URL = "postgresql://app:secret@db.example.com:5432/shop"


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        yield hd


def test_two_creates_of_one_name_one_wins(hd):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: hd.run("create", "x", "--connection-string", URL, "--no-verify", "--json"), range(8)))
    assert sorted(r.returncode for r in results) == [0] + [1] * 7
    for result in results:
        if result.returncode:
            assert json.loads(result.stderr)["error"]["code"] == 2017
    assert len(hd.json("list", "--json")) == 1


def test_if_not_exists_is_a_promise_under_concurrency(hd):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: hd.run("create", "x", "--connection-string", URL, "--no-verify", "--if-not-exists",
                                                 "--json"), range(8)))
    assert [r.returncode for r in results] == [0] * 8
    assert len({json.loads(r.stdout)["id"] for r in results}) == 1


def test_200_creates_by_8_processes_are_200_rows(hd):
    def work(worker):
        for n in range(25):
            hd("create", f"config-{worker}-{n}", "--connection-string", URL, "--no-verify")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    configs = hd.json("list", "--json")
    assert len(configs) == 200 and len({c["id"] for c in configs}) == 200
    ports = {hd.json("get", c["name"], "--all")["local"]["local_port"]["value"] for c in configs[:40]}
    assert len(ports) == 40, "each has a port of its own"


def test_kill_9_among_many_writers_loses_nothing_acknowledged(hd):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    acknowledged, deleted = [], []

    def work(worker):
        dice = random.Random(seed + worker)
        for n in range(12):
            name = f"w{worker}-{n}"
            process = subprocess.Popen([os.path.join(BIN, "hyperdrive"), "create", name, "--connection-string", URL, "--no-verify"],
                                       env=hd.env, cwd=hd.cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if dice.random() < 0.4:
                time.sleep(dice.random() * 0.03)
                process.send_signal(signal.SIGKILL)
            out, _ = process.communicate()
            if process.returncode == 0 or "✅" in out:
                acknowledged.append(name)
                if dice.random() < 0.3 and hd.run("delete", name, "--yes").returncode == 0:
                    deleted.append(name)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    stored = {c["name"] for c in hd.json("list", "--json")}
    assert set(acknowledged) - set(deleted) <= stored
    assert not stored & set(deleted)
    db = sqlite3.connect(os.path.join(hd.home, "registry.db"))
    assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
    db.close()
    for name in sorted(stored)[:20]:
        assert hd("url", name).startswith("postgresql://"), "what is there is whole"


def test_every_command_is_quick_with_10_000_configs(hd):
    hd("create", "seed", "--connection-string", URL, "--no-verify")
    db = sqlite3.connect(os.path.join(hd.home, "registry.db"))
    db.row_factory = sqlite3.Row
    row = dict(db.execute("select * from configs").fetchone())
    row.pop("sequence")
    columns = ",".join(row)
    for n in range(10_000):
        row |= {"id": f"{n:032x}", "name": f"config-{n}", "local_port": 10_000 + n if row["local_port"] != 10_000 + n else 9_999}
        db.execute(f"insert or ignore into configs({columns}) values ({','.join('?' * len(row))})", list(row.values()))
    db.commit()
    db.close()

    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def best(*words):
        """Of seven runs, in milliseconds of processor time: what other processes do meanwhile does not count."""
        times = []
        for _ in range(7):
            begin = spent()
            hd.run(*words)
            times.append(spent() - begin)
        return min(times) * 1000

    took = {" ".join(words): best(*words) for words in (
        ["get", "config-5000"], ["get", "confg-5000"], ["url", "seed"], ["status"], ["env", "seed"],
        ["list"], ["list", "--json"], ["doctor"], ["cert", "list"],
        ["__complete", "--", "get", "config-99"], ["update", "seed", "--max-age", "3"], ["--help"])}
    print(took)
    # The aim is 30 ms on an idle machine; tests may run beside others.
    assert max(took.values()) < 120 or sanitized(), took
