"""What only a MySQL of Oracle's own can show: sessions that cannot be reset, rows that end by EOF, its way of reading texts.

5.6 is old, but the one version that a package carries here; what came later is tested as bytes (support/mysql8.py).
"""

import contextlib

import pymysql
import pytest
from support.hyperdrive import Hyperdrive
from support.matrix import Target
from support.mysql56 import MySQL56
from support.mysql_client import client, rows
from support.mysql_moving import MOVE, Others, run
from support.mysql_raw import DEPRECATE_EOF, USUAL, Raw
from support.ports import wait_for
from support.proxy import Proxy
from test_mysql_drivers import RUNS

SCHEMA = """
create table t (id int primary key, b varchar(20), c datetime, d decimal(10,2), e blob);
insert into t values (1, 'x', '2024-01-02 03:04:05', 1.5, x'00ff'), (2, 'ä', null, null, null);
create table child (id int primary key, t int, foreign key (t) references t (id) on delete cascade) engine=innodb;
create table auto (id int auto_increment primary key, n int);
create table zoned (id int primary key); create table noted (id int);
create trigger zone before insert on zoned for each row set time_zone = '+07:00';
create trigger note before insert on noted for each row set @audit = 5;
create database latin character set latin1;
delimiter //
create procedure set_zone() begin set time_zone = '+07:00'; end//
create procedure several() begin select 1; select id from t order by id; end//
create function zone_fn() returns int begin set time_zone = '+07:00'; return 1; end//
create function lock_fn() returns int begin declare x int; set x = get_lock('kept', 0); return x; end//
create function `of`() returns int return (select max(id) from t)//
create view zone_view as select zone_fn() x//
create view lock_view as select lock_fn() x//
"""


@pytest.fixture(scope="module")
def db():
    with MySQL56() as db:
        db.sql(SCHEMA)
        yield db


def proxy_of(db, caching, features="hyperdrive"):
    return Proxy(db, caching={"disabled": not caching}, origin_connection_limit=2 + caching,
                 local={"invalidation": "writes", "session_features": features, "workers": 1})


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "caching"])
def proxy(db, request):
    with proxy_of(db, request.param) as p:
        yield p


@pytest.fixture(scope="module")
def caching(db):
    with proxy_of(db, True) as p:
        p.wait_known()
        yield p


READ = "select @@character_set_client, @@collation_connection, @@time_zone, @@sql_mode, @@tx_isolation, @@tx_read_only, database()"
READ_ID = "select last_insert_id()"
SCRIPTS = {
    "settings": ["set time_zone = '+05:00', sql_mode = 'ANSI_QUOTES'", MOVE, READ, 'select "b" from t where id = 1',
                 "set session transaction isolation level read committed", MOVE, READ, "set @@tx_isolation = 'SERIALIZABLE'", READ,
                 "select * from t", MOVE, READ, "set names latin1", MOVE, READ, "use latin", MOVE, READ, "set character set utf8",
                 MOVE, READ, "set sql_mode = default, time_zone = default", MOVE, READ],
    "comments by version": ["/*!50600 SET time_zone = '+05:00' */", MOVE, READ, "/*!50701 SET time_zone = '+06:00' */", MOVE, READ,
                            "/*!80000 SET SESSION information_schema_stats_expiry=0 */", MOVE, READ,
                            "/*M! SET time_zone = '+07:00' */", MOVE, READ],
    "numbers": ["delete from auto", "alter table auto auto_increment = 1", "insert into auto (n) values (1)", MOVE, READ_ID, "insert into auto values (500, 1)", MOVE, READ_ID,
                "insert into auto (n) values (1), (2)", MOVE, READ_ID, "insert into auto select 900, 1", MOVE, READ_ID,
                "insert into auto values (900, 1) on duplicate key update n = 4", MOVE, READ_ID, "delete from auto",
                "alter table auto auto_increment = 1"],
    "the statement before": ["select sql_calc_found_rows id from t limit 1", MOVE, "select found_rows()", "delete from t where id > 90",
                             MOVE, "select row_count()", "select 1 + 'x'", "show warnings", "select * from gone", MOVE, "show warnings"],
    "transactions": ["begin", "insert into auto (n) values (7)", "savepoint s", "delete from auto", "rollback to s", "rollback", MOVE,
                     "select count(*) from auto", "set autocommit = 0", "select count(*) from auto", "select @@autocommit",
                     "commit", MOVE, "select @@autocommit"],
    "several": ["call several()", "select 1; select 2", MOVE, "select 3; selec; select 4", "prepare x from 'select 1'; execute x"],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_session_may_move_after_each_statement(db, proxy, name):
    alone = run(db, SCRIPTS[name], lambda: None)
    with contextlib.ExitStack() as stack:
        assert run(proxy, SCRIPTS[name], Others(proxy, stack).move) == alone


@pytest.mark.parametrize("shape", [USUAL, USUAL & ~DEPRECATE_EOF])
def test_answers_from_the_cache_are_the_servers_byte_for_byte(db, caching, shape):
    old = USUAL & ~DEPRECATE_EOF
    with Raw(db, old) as direct, Raw(caching, shape) as c, Raw(caching, shape) as other:
        for sql in ["select * from t order by id", "select id, b from t where id = 7", "select count(*), sum(d) from t"]:
            expected = direct.ask(sql)
            answers = [c.ask(sql), c.ask(sql), other.ask(sql)]
            assert answers[0] == answers[1] == answers[2]
            if shape == old:
                assert answers[0] == expected
            statement, again = c.prepare(sql), direct.prepare(sql)
            binary = [c.execute(statement) for _ in range(3)]
            assert binary[0] == binary[1] == binary[2]
            if shape == old:
                assert binary[0] == direct.execute(again)
    assert caching.stats()["cache"]["hit"] > 0


@pytest.mark.parametrize("write", [
    "insert into t (id) values (50)", "update t set b = 'y' where id = 1", "delete from t where id = 2", "replace into t (id) values (1)",
    "call set_zone(); delete from t", "insert into zoned values (9); update t set b = 'z'", "truncate table child", "delete from t"])
def test_a_write_is_seen_at_once(db, caching, write):
    db.sql("delete from t; insert into t (id, b) values (1, 'x'), (2, 'y'); delete from child; insert into child values (1, 1);"
           "delete from zoned")
    caching.admin("POST", "/v1/purge", '{"all":true}')
    reads = ["select * from t", "select count(*) from child", "select of()"]
    several = {"client_flag": pymysql.constants.CLIENT.MULTI_STATEMENTS}
    with client(caching, **several) as c, client(caching) as other, client(db) as direct:
        for read in reads * 2:
            rows(other, read)
        rows(c, write)
        for read in reads:
            assert rows(other, read) == rows(direct, read), read


LEAVE = ["call set_zone()", "select zone_fn()", "set @x = zone_fn()", "do lock_fn()", "set @x = 1", "create temporary table kept (a int)",
         "select get_lock('kept', 0)", "lock tables t read", "prepare kept from 'select 1'", "set profiling = 1", "flush tables with read lock"]
ONLY_WITH_A_CACHE = ["select * from zone_view", "select * from lock_view", "insert into zoned values (1)", "insert into noted values (1)"]
ALL = "select @@time_zone, @x, @audit, is_used_lock('kept'), @@profiling, from_unixtime(0)"


@pytest.mark.parametrize("features", ["hyperdrive", "pin"])
def test_nothing_of_a_session_that_cannot_be_reset_reaches_another(db, features):
    for caches in (False, True):
        with proxy_of(db, caches, features) as p, client(db) as direct:
            if caches:
                p.wait_known()
            for leaves in LEAVE + ONLY_WITH_A_CACHE * caches:
                with client(p) as one, client(p) as other:
                    rows(other, "select * from t")
                    rows(one, leaves)
                    if features == "hyperdrive":
                        assert rows(other, ALL.replace("is_used_lock('kept')", "1")) == \
                            rows(direct, ALL.replace("is_used_lock('kept')", "1")), leaves
                wait_for(lambda: rows(direct, "select is_used_lock('kept')") == [(None,)], 10, "its lock is given up")
                with client(p) as third, client(p) as fourth:
                    for c in (third, fourth, third):
                        assert rows(c, ALL) == rows(direct, ALL), leaves
                    rows(third, "insert into auto (n) values (1)")
            db.sql("delete from zoned")


def test_sysbench_runs_through_a_pool_of_two(db):
    with Hyperdrive() as hd:
        hd.create("matrix", db.url(), "--caching-disabled", "--origin-connection-limit", "2", "--wait-timeout", "60s")
        RUNS["sysbench"](Target(hd.start("matrix")))
