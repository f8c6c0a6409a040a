"""Tools and object mappers: what they print straight to the server and through the proxy is the same, with a pool of
two (a third connection is the cache's own), caching, and invalidation by writes. Tools that need a session (dumps)
run with `session_features = pin`; what is refused says why, and where to go.
"""

import os
import re
import subprocess
import sys

import pytest
from support import node
from support.mariadb import MariaDB
from support.matrix import Target
from support.postgres import DEBIAN_BIN, Postgres
from support.proxy import Proxy

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
CACHING = {"disabled": False, "max_age": 60, "stale_while_revalidate": 15}
WRITES = {"invalidation": "writes"}
ORMS = {
    "sqlalchemy": lambda t, kind: output([sys.executable, script("orm_sqlalchemy.py"), t.url.replace(
        "://", {"postgresql": "+psycopg2://", "mysql": "+pymysql://"}[kind], 1)]),
    "django": lambda t, kind: output([sys.executable, script("orm_django.py"), kind, *t.parts()]),
    "activerecord": lambda t, kind: output(["ruby", "-W0", script("orm_activerecord.rb"),
                                            {"mysql": "mysql2"}.get(kind, kind), *t.parts()]),
    "knex-sequelize-mikro": lambda t, kind: node.run("query_builders.mjs", t.url, env=dict(os.environ,
                                                     NODE_OPTIONS="--no-deprecation")),
}


def script(name):
    return os.path.join(HERE, name)


def output(argv, stdin=None, **env) -> str:
    """Both streams, one after the other, and the exit code of a command that may fail."""
    result = subprocess.run(argv, env=dict(os.environ, PYTHONWARNINGS="ignore", **env), cwd="/tmp", text=True,
                            input=stdin, capture_output=True, timeout=300)
    return f"{result.stdout}\n{result.stderr}\nexit {result.returncode}"


def ended_well(text: str) -> str:
    assert text.endswith("exit 0"), text[-3000:]
    return text


@pytest.fixture(scope="module")
def postgres():
    with Postgres(settings={"max_connections": 100}) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb():
    with MariaDB(settings={"log_bin": "binlog"}) as server:
        yield server


def through(origin, **local):
    with Proxy(origin, origin_connection_limit=3, caching=CACHING, local=WRITES | local) as proxy:
        yield Target(proxy.url())


@pytest.fixture(scope="module")
def pooled(postgres):
    yield from through(postgres)


@pytest.fixture(scope="module")
def pinned(postgres):
    yield from through(postgres, session_features="pin")


@pytest.fixture(scope="module")
def pooled_mysql(mariadb):
    yield from through(mariadb)


@pytest.fixture(scope="module")
def pinned_mysql(mariadb):
    yield from through(mariadb, session_features="pin")


# --- object mappers ------------------------------------------------------------------------------
@pytest.mark.parametrize("mapper", sorted(ORMS))
def test_a_mapper_does_the_same_through_the_proxy_to_postgres(postgres, pooled, mapper):
    expected = ORMS[mapper](Target(postgres.url()), "postgresql")
    assert expected.count("\n") > 8 and "exit 1" not in expected, expected
    assert ORMS[mapper](pooled, "postgresql") == expected


@pytest.mark.parametrize("mapper", sorted(ORMS))
def test_a_mapper_does_the_same_through_the_proxy_to_mysql(mariadb, pooled_mysql, mapper):
    expected = ORMS[mapper](Target(mariadb.url()), "mysql")
    assert expected.count("\n") > 8 and "exit 1" not in expected, expected
    assert ORMS[mapper](pooled_mysql, "mysql") == expected


# --- Postgres' own tools -------------------------------------------------------------------------
def psql(target, file, **env):
    text = output(["psql", "-X", "-f", script(file)], PGHOST=target.host, PGPORT=target.port, PGUSER=target.user,
                  PGPASSWORD=target.password, PGDATABASE=target.database, **env)
    return re.sub(r"\b\d{5}\b", "N", text)  # oids


def libpq(target) -> dict:
    return {"PGHOST": target.host, "PGPORT": target.port, "PGUSER": target.user, "PGPASSWORD": target.password,
            "PGDATABASE": target.database}


def test_psql_prints_the_same(postgres, pooled):
    assert psql(pooled, "psql.sql") == psql(Target(postgres.url()), "psql.sql")


@pytest.mark.parametrize("mode", ["extended", "prepared"])
def test_pgbench_works_with_variables_from_answers_and_with_pipelines(postgres, pooled, mode):
    postgres.psql("drop table if exists bench; create table bench(id int primary key, n int);"
                  "insert into bench select g, 0 from generate_series(1, 100) g")
    # A thread each: pgbench prepares without looking at its thread's other clients, who may hold the connections.
    text = output([f"{DEBIAN_BIN}/pgbench", "-n", "-M", mode, "-f", script("pgbench.sql"), "-c", "6", "-j", "6", "-t", "30"],
                  **libpq(pooled))
    assert "processed: 180/180" in ended_well(text), text
    assert postgres.psql("select sum(n) from bench").strip() == "180"


def test_a_dump_through_a_session_that_keeps_its_connection_is_the_direct_one_and_comes_back(postgres, pooled, pinned):
    postgres.psql("create table dumped(id serial primary key, d numeric default 1.5, t text); create view dv as table dumped;"
                  "insert into dumped(t) select 'x' || g from generate_series(1, 500) g")

    def dump(target):
        text = ended_well(output([f"{DEBIAN_BIN}/pg_dump", "-t", "dumped", "-t", "dv", "--no-owner"], **libpq(target)))
        return re.sub(r"restrict \w+", "restrict KEY", text)

    expected = dump(Target(postgres.url()))
    assert "COPY public.dumped" in expected and dump(pinned) == expected
    refused = output([f"{DEBIAN_BIN}/pg_dump"], **libpq(pooled))
    assert "Unsupported in a pooled connection: PREPARE" in refused and "--session-features pin" in refused
    postgres.psql("drop table dumped cascade")
    ended_well(output(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"], stdin=expected.removesuffix("\n\nexit 0"), **libpq(pooled)))
    assert dump(pinned) == expected
    postgres.psql("drop table dumped cascade")


@pytest.mark.parametrize("tool", [["pg_basebackup", "-D", "/tmp/hd-none"], ["pg_receivewal", "-D", "/tmp", "--no-loop"],
                                  ["pg_recvlogical", "-d", "shop", "--slot", "x", "--create-slot"]])
def test_replication_is_refused_with_where_to_go(pooled, tool):
    text = output([f"{DEBIAN_BIN}/{tool[0]}", *tool[1:]], **libpq(pooled))
    assert "replication connections are not supported by the proxy" in text
    assert "Connect to the origin directly." in text and text.endswith("exit 1")


def test_other_servers_read_and_write_through_the_proxy(postgres, pinned):
    def played(target):
        postgres.psql("drop table if exists fdw_kinds; create table fdw_kinds(id int primary key, name text);"
                      "insert into fdw_kinds select g, 'k' || g from generate_series(1, 50) g")
        postgres.psql("create database far", database="postgres")
        try:
            here = Target(postgres.url(database="far"))
            return output(["psql", "-X", "-q", "-A", "-t", *(f"-v{name}={value}" for name, value in [
                ("host", target.host), ("port", target.port), ("user", target.user), ("password", target.password),
                ("dbname", target.database)]), "-f", script("fdw.sql")], **libpq(here))
        finally:
            postgres.psql("drop database far", database="postgres")

    expected = played(Target(postgres.url()))
    assert "ERROR" not in ended_well(expected), expected
    assert played(pinned) == expected


# --- MariaDB's own tools -------------------------------------------------------------------------
def mysql(target, tool, *args, stdin=None):
    text = output([tool, "--no-defaults", f"-h{target.host}", f"-P{target.port}", f"-u{target.user}", *args], stdin=stdin,
                  MYSQL_PWD=target.password)
    return re.sub(r"\b(app|hyperdrive)\b", "USER", re.sub(r"-- Dump completed.*", "", text))


SCHEMA = """
drop table if exists dumped; create table dumped(id int auto_increment primary key, t varchar(20), j json, b blob);
insert into dumped(t, j, b) select concat('x', seq), json_object('k', seq), unhex(md5(seq)) from seq_1_to_300;
create or replace view dv as select id, t from dumped;
create or replace procedure shows(x int) select count(*) from dumped where id > x;
create or replace trigger tr before insert on dumped for each row set new.t = coalesce(new.t, 'none');
"""


def test_a_mysqldump_is_the_direct_one_and_comes_back(mariadb, pooled_mysql, pinned_mysql):
    mariadb.sql(SCHEMA.replace("create or replace trigger", "delimiter //\ncreate or replace trigger") + "//")
    options = ["--single-transaction", "--routines", "--triggers", "--hex-blob", "shop"]
    expected = ended_well(mysql(Target(mariadb.url()), "mysqldump", *options))
    assert mysql(pooled_mysql, "mysqldump", *options) == expected
    assert mysql(pinned_mysql, "mysqldump", *options) == expected
    text = expected.removesuffix("\n\nexit 0").replace("`USER`@", "`app`@")
    for target in (pooled_mysql, pinned_mysql):
        mariadb.sql("drop table dumped")
        ended_well(mysql(target, "mariadb", "shop", stdin=text))
        assert mysql(target, "mysqldump", *options) == expected


def test_administration_works_and_what_does_not_says_where_to_go(mariadb, pooled_mysql):
    for command in (["ping"], ["status"], ["processlist"], ["flush-tables"], ["create", "dbx"], ["-f", "drop", "dbx"]):
        ended_well(mysql(pooled_mysql, "mysqladmin", *command))
    assert "shop.dumped" in mysql(pooled_mysql, "mysqlcheck", "shop")
    for tool in (["mysqladmin", "shutdown"], ["mysqladmin", "debug"],
                 ["mysqlbinlog", "--read-from-remote-server", "binlog.000001"]):
        text = mysql(pooled_mysql, *tool)
        assert "passes on no replication, shutdown or debug command: connect to the origin directly" in text
    assert mariadb.sql("select 1").strip() == "1"
