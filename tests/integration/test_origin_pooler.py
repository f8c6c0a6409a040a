"""A PgBouncer as the origin: many databases can only be reached through one. In session mode it is a Postgres that
knows fewer startup parameters; there the cache must be able to read the catalogs."""

import os
import shutil
import signal
import subprocess

import pytest
from support import unprivileged
from support.pgwire import SYNC, Connection, bind, execute, parse
from support.ports import can_connect, free_port, wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table t (k int primary key, v text); insert into t values (1, 'first')")
        yield pg


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


@pytest.fixture(scope="module")
def pgbouncer(pg):
    """Its port; it refuses every startup parameter that it does not know."""
    port = free_port()
    folder = unprivileged.temp_folder("hd-pgbouncer-")
    files = {"users": f'"{pg.user}" "{pg.password}"\n', "ini": f"""[databases]
{pg.database} = host=127.0.0.1 port={pg.port} dbname={pg.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = session
logfile = {folder}/log
"""}
    for name, text in files.items():
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        unprivileged.give(path)
    process = subprocess.Popen(unprivileged.command(["/usr/sbin/pgbouncer", "-q", f"{folder}/ini"]), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        wait_for(lambda: can_connect(port), 20, "PgBouncer accepts connections")
        yield port
    finally:
        for pid in children(process.pid) or [process.pid]:  # below runuser
            os.kill(pid, signal.SIGTERM)
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_answers_are_cached_and_a_write_ends_them(pg, pgbouncer):
    with Proxy(pg, port=pgbouncer, caching={"disabled": False}, local={"invalidation": "writes"}) as proxy, \
            Connection.open(proxy.url()) as c:
        def read():
            c.send(parse("", "select v from t where k = $1") + bind("", "", ["1"]) + execute() + SYNC)
            return [body for kind, body in c.until_ready() if kind == "D"]

        def hits():
            read()
            return proxy.stats()["cache"]["hit"]

        wait_for(lambda: hits() > 1, 20, "answers come from memory")
        c.query("update t set v = 'second' where k = 1")
        assert read() == [b"\0\1\0\0\0\6second"]
        c.query("update t set v = 'first' where k = 1")
        assert read() == [b"\0\1\0\0\0\5first"]


@pytest.mark.parametrize("policy", ["hyperdrive", "pin"])
def test_named_statements_and_settings_work(pg, pgbouncer, policy):
    with Proxy(pg, port=pgbouncer, origin_connection_limit=2, local={"session_features": policy}) as proxy, \
            Connection.open(proxy.url(), TimeZone="Asia/Tokyo") as a, Connection.open(proxy.url()) as b:
        for i in range(3):
            for c in a, b:
                c.send(parse(f"s{i}", f"select {i}, current_setting('timezone')") + SYNC)
                assert [kind for kind, _ in c.until_ready()] == ["1", "Z"]
        for i in range(3):
            for c, zone in (a, b"Asia/Tokyo"), (b, None):
                c.send(bind("", f"s{i}") + execute() + SYNC)
                row, = (body for kind, body in c.until_ready() if kind == "D")
                assert row.endswith(b"Asia/Tokyo") == (zone is not None)
        assert a.value("show timezone") == "Asia/Tokyo"
        assert b.value("show timezone") != "Asia/Tokyo"
