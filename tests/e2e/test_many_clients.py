"""Ten thousand idle clients, a thousand busy ones, and storms of connections that leave nothing behind."""

import os
import resource
import subprocess
import threading

import pytest
from support.hyperdrive import Hyperdrive, sanitized
from support.pgwire import Connection
from support.ports import wait_for
from support.postgres import Postgres

PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
IDLE, BUSY = 10_000, 1_000


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE + 2000:
        pytest.skip(f"the hard limit of open files here is {hard}")


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        subprocess.run([PGBENCH, "-i", "-q", "-s", "2", pg.url()], check=True, capture_output=True)
        yield pg


@pytest.fixture()
def hd(origin):
    with Hyperdrive() as hd:
        hd.create("many", origin.url(), "--caching-disabled", "--scram-rounds", "64", "--max-clients", str(IDLE + BUSY + 100))
        yield hd


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def pgbench(url, *flags):
    result = subprocess.run([PGBENCH, "-n", "-S", *flags, url], capture_output=True, text=True, timeout=600,
                            env=dict(os.environ, PGSSLMODE="disable"))
    assert result.returncode == 0 and "number of failed transactions: 0 " in result.stdout, result.stdout + result.stderr[-2000:]
    return result.stdout


def test_ten_thousand_idle_and_a_thousand_busy_clients_share_twenty_connections(hd, origin):
    url = hd.start("many")
    pid = hd.pid("many")
    before = resident_kb(pid)
    idle = []
    failures = []

    def some(count):
        try:
            for _ in range(count):
                idle.append(Connection.open(url))
        except Exception as error:  # told below; a thread's own would be lost
            failures.append(error)
    threads = [threading.Thread(target=some, args=[IDLE // 4]) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failures, failures[0]
    assert hd.stats("many")["clients"] == IDLE
    each = (resident_kb(pid) - before) * 1024 / IDLE
    print(f"{each:.0f} resident bytes an idle client")
    assert each < 8 * 1024 or sanitized(), "an idle client owns no buffer"
    print(pgbench(url, "-c", str(BUSY), "-j", "4", "-T", "5", "-M", "prepared"))
    assert origin.backends("Hyperdrive") <= 20
    assert idle[0].value("select 1") == "1" and idle[-1].value("select 2") == "2"
    for connection in idle:
        connection.close()
    wait_for(lambda: hd.stats("many")["clients"] == 0, 30, "the proxy has seen them go")


def settled(hd, pid):
    """Descriptors of the proxy that are not origin connections, once two looks in a row agree."""
    def look():
        return descriptors(pid) - hd.stats("many")["origin_connections"]
    return wait_for(lambda: (first := look()) == look() and first, 60, "the number of descriptors settles")


def test_storms_of_connections_leave_no_descriptor_and_no_memory_behind(hd):
    """How many origin connections stay warm differs from storm to storm; a leak would be 2 000 descriptors a storm."""
    url = hd.start("many")
    pid = hd.pid("many")

    def storm():
        pgbench(url, "-C", "-c", "20", "-j", "2", "-t", "100")
        wait_for(lambda: hd.stats("many")["clients"] == 0, 60, "all clients are gone")
    storm()
    files, memory = settled(hd, pid), resident_kb(pid)
    for _ in range(3):
        storm()
    wait_for(lambda: descriptors(pid) - hd.stats("many")["origin_connections"] <= files + 8, 60,
             f"as few descriptors as before ({files} besides the origin connections)")
    wait_for(lambda: resident_kb(pid) <= memory + 4096 or sanitized(), 20, f"as little memory as before ({memory} kB)")
