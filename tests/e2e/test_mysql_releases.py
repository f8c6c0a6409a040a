"""Other servers than Debian's own MariaDB as the origin: the MySQL of today, and MariaDB a few years older and younger."""

import contextlib
import re
import struct

import pymysql
import pytest
from support.hyperdrive import Hyperdrive
from support.matrix import Target
from support.mysql_client import client, rows
from support.mysql_moving import MOVE, Others, run
from support.mysql_raw import Raw
from support.mywire import LONGLONG, VAR_STRING, Refused, Wire, execute
from support.ports import wait_for
from support.proxy import Proxy
from support.releases import MariaDB105, MariaDB118, MySQL
from test_mysql_56 import SCRIPTS
from test_mysql_drivers import NEED_PIN, RUNS

SCHEMA = """
create table t (id int primary key, b varchar(20), c datetime, d decimal(10,2), e blob);
insert into t values (1, 'x', '2024-01-02 03:04:05', 1.5, x'00ff'), (2, 'ä', null, null, null);
create table child (id int primary key, t int, foreign key (t) references t (id) on delete cascade) engine=innodb;
create table auto (id int auto_increment primary key, n int);
create table zoned (id int primary key);
create trigger zone before insert on zoned for each row set time_zone = '+07:00';
create database latin character set latin1;
delimiter //
create procedure set_zone() begin set time_zone = '+07:00'; end//
create procedure several() begin select 1; select id from t order by id; end//
create function zone_fn() returns int deterministic begin set time_zone = '+07:00'; return 1; end//
create function lock_fn() returns int deterministic begin declare x int; set x = get_lock('kept', 0); return x; end//
"""
# What the drivers' scripts take for granted at MariaDB.
NUMBERS = "".join(f"create table seq_1_to_{last} (seq int primary key); insert into seq_1_to_{last} select d1.d + 10 * d2.d + 100 * d3.d + 1000 * d4.d"
                  f" + 10000 * d5.d + 1 n from {', '.join(f'digits d{i}' for i in range(1, 6))} having n <= {last};" for last in (2000, 100_000))
DIGITS = "create table digits (d int); insert into digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);"
BINLOG = {MySQL: {"gtid_mode": "ON", "enforce_gtid_consistency": "ON", "server_id": "7"}}
OLDER = {"log_bin": "binlog", "binlog_format": "ROW", "server_id": "7"}
PLUGIN = {MySQL: b"caching_sha2_password"}


@pytest.fixture(scope="module", params=[MySQL, MariaDB118, MariaDB105], ids=lambda server: server.release)
def db(request):
    with request.param(BINLOG.get(request.param, OLDER) | {"log_bin_trust_function_creators": "ON"}) as db:
        db.sql(SCHEMA)
        if db.release == "mysql":
            db.sql(DIGITS + NUMBERS)
        with client(db):
            pass   # MySQL knows the password from now on, and answers to its hash
        yield db


def proxy_of(db, invalidation="writes", caches=True, **local):
    return Proxy(db, caching={"disabled": not caches}, origin_connection_limit=2 + caches,
                 local={"invalidation": invalidation, "workers": 1} | local)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "caching"])
def proxy(db, request):
    with proxy_of(db, caches=request.param) as p:
        if request.param:
            p.wait_known()
        yield p


def test_the_server_is_the_one_meant(db, proxy):
    version = {"mysql": ("8.", "9.", "10."), "mariadb-11.8": "11.8.", "mariadb-10.5": "10.5."}[db.release]
    with client(proxy) as c:
        assert rows(c, "select version()")[0][0].startswith(version)
        assert (b"MariaDB" in c.server_version.encode()) == (db.release != "mysql")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_session_may_move_after_each_statement(db, proxy, name):
    script = SCRIPTS[name]
    if db.release == "mysql":
        script = [step if step is MOVE else step.replace("tx_isolation", "transaction_isolation").replace("tx_read_only", "transaction_read_only")
                  for step in script]
    alone = run(db, script, lambda: None)
    with contextlib.ExitStack() as stack:
        assert run(proxy, script, Others(proxy, stack).move) == alone


def test_a_session_has_the_collation_it_asked_for_by_whatever_number(db):
    among = "collations" if db.release != "mariadb-11.8" else "collation_character_set_applicability"
    ids = {int(word) for word in db.sql(f"select id from information_schema.{among} where id is not null"
                                        " and character_set_name not in ('ucs2', 'utf16', 'utf16le', 'utf32')").split()}
    asks = "select @@character_set_client, @@collation_connection, @@character_set_results"
    assert len(ids) > 200
    with proxy_of(db, caches=False) as p:
        for number in sorted(ids | {76, 250, 255, 278, 301, 309, 323, 579, 4000}):
            with contextlib.closing(Wire(p.port, p.user, p.password, db.database)) as proxied, \
                    contextlib.closing(Wire(db.port, db.user, db.password, db.database, plugin=PLUGIN.get(type(db), b"mysql_native_password"))) as direct:
                told = []
                for wire in (proxied, direct):
                    try:
                        wire.change_user(charset=number)
                        told.append(wire.values(asks))
                    except Refused as refused:
                        told.append(str(refused))
                assert told[0] == told[1], number


@pytest.mark.parametrize("charset", [45, 8, 255])
def test_a_session_that_is_reset_has_the_character_set_that_the_server_gives_it(db, charset):
    if charset == 255 and isinstance(db, MariaDB105):
        pytest.skip("it does not know this number, and resets to what the client asked for who had its thread before")
    asks = "select @@character_set_client, @@character_set_results, @@collation_connection"
    told = []
    with proxy_of(db, caches=False) as p:
        for where, plugin in ((p, b"mysql_native_password"), (db, PLUGIN.get(type(db), b"mysql_native_password"))):
            with contextlib.closing(Wire(where.port, where.user, where.password, db.database, charset=charset, plugin=plugin)) as wire:
                wire.send(b"\x1f")
                wire.expect(b"\x1f")
                wire.packet()
                told.append(wire.values(asks))
    assert told[0] == told[1]


LEAVE = ["call set_zone()", "select zone_fn()", "set @x = zone_fn()", "do lock_fn()", "set @x = 1", "create temporary table kept (a int)",
         "select get_lock('kept', 0)", "lock tables t read", "prepare kept from 'select 1'", "insert into zoned values (1)",
         "set session transaction read only", "set sql_mode = 'ANSI'", "set names latin1", "use latin"]
ALL = "select @@time_zone, @x, is_used_lock('kept'), from_unixtime(0), @@sql_mode, @@collation_connection, database()"


@pytest.mark.parametrize("features", ["hyperdrive", "pin"])
def test_nothing_of_a_session_reaches_another(db, features):
    with proxy_of(db, caches=False, session_features=features) as p, client(db) as direct:
        for leaves in LEAVE:
            with client(p) as one:
                rows(one, leaves)
            wait_for(lambda: rows(direct, "select is_used_lock('kept')") == [(None,)], 10, "its lock is given up")
            with client(p) as other, client(p) as third:
                for c in (other, third):
                    assert rows(c, ALL) == rows(direct, ALL), leaves
                    rows(c, "insert into auto (n) values (1)")
            db.sql("delete from zoned")


# What the driver sends, by the number of the statement "select ?", and the kind of its reply.
ODD = {
    "an execution of nothing": lambda n: [("query", struct.pack("<BIBI", 0x17, 77, 0, 1))],
    "a reset of nothing": lambda n: [("simple", struct.pack("<BI", 0x1a, 77))],
    "a fetch from nothing": lambda n: [("fetch", struct.pack("<BII", 0x1c, 77, 1))],
    "a fetch without a cursor": lambda n: [("fetch", struct.pack("<BII", 0x1c, n, 1))],
    "half an execution": lambda n: [("query", struct.pack("<BI", 0x17, n))],
    "no types, NULL": lambda n: [("query", execute(n, [None]))],
    "no types": lambda n: [("query", execute(n, [struct.pack("<q", 5)]))],
    "types, then none": lambda n: [("query", execute(n, [struct.pack("<q", 5)], [LONGLONG])), ("query", execute(n, [struct.pack("<q", 6)]))],
    "a string that is too short": lambda n: [("query", execute(n, [b"\xfc\xff\xff"], [VAR_STRING]))],
}


@pytest.mark.parametrize("what", ODD)
def test_a_statement_that_is_used_wrongly_has_the_servers_own_answer(db, proxy, what):
    if db.release == "mariadb-10.5" and what == "no types":
        pytest.skip("MariaDB 10.5 dies of it")
    plugin = PLUGIN.get(type(db), b"mysql_native_password")
    answers = []
    with Raw(proxy) as other:   # the pool's connections have such statements, with types
        other.execute(other.prepare("select ?"), 1)
    for where, by in ((db, plugin), (proxy, b"mysql_native_password")):
        with Wire(where.port, where.user, where.password, db.database, plugin=by) as wire:
            wire.send(b"\x16select ?")
            wire.reply("prepare")
            told = []
            for kind, payload in ODD[what](wire.statements[0]):
                wire.send(payload)
                told.append(wire.reply(kind))
            answers.append(re.sub(r"statement [(]\d+[)]", "statement (N)", repr(told)))
    assert answers[0] == answers[1]


KINDS = {"a number": (LONGLONG, struct.pack("<q", 5)), "a double": (b"\x05\0", struct.pack("<d", 1.5)), "a text": (VAR_STRING, b"\x05" + b"12.5x"),
         "a time": (b"\x0b\0", b"\x08\0\0\0\0\0\1\2\3"), "NULL": (b"\x06\0", None)}


@pytest.mark.parametrize("sql", ["select json_array(?)", "select id from t where b = ?", "select ifnull(?, 'none')"])
def test_an_execution_is_made_by_its_own_types_and_not_by_anothers(db, proxy, sql):
    """MySQL keeps those of a statement's first execution: behind a number 'abc' is 0."""
    plugin = PLUGIN.get(type(db), b"mysql_native_password")

    def told(where, by, *kinds):
        with Wire(where.port, where.user, where.password, db.database, plugin=by) as wire:
            wire.send(b"\x16" + sql.encode())
            wire.reply("prepare")
            for kind in kinds:
                wire.send(execute(wire.statements[0], [KINDS[kind][1]], [KINDS[kind][0]]))
                events = wire.reply("query")
            return [event for event in events if event[0] in ("row", "err")]
    fresh = {kind: told(db, plugin, kind) for kind in KINDS}
    for first in KINDS:
        for second in KINDS:
            told(proxy, b"mysql_native_password", first)
            assert told(proxy, b"mysql_native_password", second) == fresh[second], (first, second)
            if db.release == "mysql":
                assert told(proxy, b"mysql_native_password", first, second) == fresh[second], (first, second)


@pytest.mark.parametrize("invalidation", ["writes", "replication"])
def test_the_cache_never_tells_what_is_no_longer_so(db, invalidation):
    db.sql("delete from t; insert into t (id, b) values (1, 'x'), (2, 'y'); delete from child; insert into child values (1, 1)")
    reads = ["select * from t order by id", "select count(*) from child", "select count(*), sum(d) from t", "select b from t where id = 1"]
    writes = ["insert into t (id) values (50)", "update t set b = 'y' where id = 1", "begin; update t set b = 'q'; rollback",
              "begin; update t set b = 'z'; commit", "replace into t (id) values (1)", "delete from t", "truncate table child",
              "alter table child add column more int default 3", "insert into t (id, d) values (7, 2.25)"]
    several = {"client_flag": pymysql.constants.CLIENT.MULTI_STATEMENTS}
    with proxy_of(db, invalidation) as p, client(p) as reader, client(db) as direct, \
            client(p if invalidation == "writes" else db, **several) as writer:
        p.wait_known()
        def hits(read):
            before = p.stats()["cache"]["hit"]
            rows(reader, read)
            return p.stats()["cache"]["hit"] > before
        for write in writes:
            for read in reads:   # behind a write it is kept when all before it is known to be seen
                wait_for(lambda: hits(read), 5, f"an answer to {read} is kept")
            rows(writer, write)
            expected = [rows(direct, read) for read in reads]
            if invalidation == "writes":   # through the proxy: at once
                assert [rows(reader, read) for read in reads] == expected, write
            else:
                wait_for(lambda: [rows(reader, read) for read in reads] == expected, 5, f"{write} is seen")
        db.sql("alter table child drop column more")


@pytest.mark.parametrize("driver", ["mysql2", "pymysql", "php", "sysbench"])
def test_a_driver_works_through_a_pool_of_two(db, driver):
    with Hyperdrive() as hd:
        features = "pin" if driver in NEED_PIN else "hyperdrive"
        hd.create("matrix", db.url(), "--caching-disabled", "--origin-connection-limit", "2", "--wait-timeout", "60s", "--session-features", features)
        RUNS[driver](Target(hd.start("matrix")))


def test_a_hint_that_makes_a_query_the_sessions_own_is_not_kept(db):
    """MySQL's: under it IS NULL asks for the last insert id of whoever asks."""
    db.sql("delete from auto; insert into auto (id, n) values (1, 1), (2, 2)")
    sql = "select /*+ SET_VAR(sql_auto_is_null = 1) */ id from auto where id is null"
    with proxy_of(db) as p, client(p) as one, client(p) as other, client(db) as direct:
        p.wait_known()
        rows(one, "insert into auto (n) values (3)")
        rows(direct, "insert into auto (n) values (4)")
        rows(one, sql)
        assert p.stats()["cache"]["entries"] == 0
        assert rows(other, sql) == []


def test_what_a_trigger_writes_is_seen_where_it_cannot_be(db):
    """A privilege that is granted everywhere and revoked for one database: its triggers are hidden, and they run."""
    if db.release != "mysql":
        pytest.skip("MySQL's")
    db.sql("""set global partial_revokes = on; create user half@'%' identified by 'app-secret'; grant all on *.* to half@'%';
revoke trigger on shop.* from half@'%'; create table source (n int); create table copied (n int);
create trigger copies after insert on source for each row insert into copied values (new.n);""")
    try:
        with contextlib.closing(pymysql.connect(**db.login(user="half"))):
            pass
        with Proxy(db, origin_user="half", caching={"disabled": False}, local={"invalidation": "writes"}) as p, client(p) as c:
            p.wait_known()
            for number in range(3):
                assert rows(c, "select count(*) from copied") == [(number,)]
                rows(c, "insert into source values (1)")
            assert "TRIGGER" in str(p.status()["warnings"])
    finally:
        db.sql("drop table source, copied; drop user half@'%'; set global partial_revokes = off")


def test_a_statement_is_executed_without_a_cursor_behind_one_with_it(db, proxy):
    """MySQL 9 ends the rows of the second in a way that only who knows of it understands: with DEPRECATE_EOF, as the proxy asks."""
    values, types = [struct.pack("<q", 1)], [LONGLONG]
    with Wire(proxy.port, proxy.user, proxy.password, db.database) as wire, Wire(proxy.port, proxy.user, proxy.password, db.database) as other:
        for user in (wire, other):   # the second one might be lent what the first has prepared
            user.send(b"\x16select id, b from t where id >= ? order by id")
            user.reply("prepare")
            for flags in (1, 0, 0, 1, 1, 0):
                user.send(execute(user.statements[-1], values, types, flags))
                assert user.reply("cursor" if flags else "query", sent=b"x")[-1][0] == "eof"
