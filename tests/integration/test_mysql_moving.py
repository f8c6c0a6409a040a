"""A MySQL session whose statements run now on this connection, now on that one, is told what it would be told on one."""

import contextlib

import pytest

from support.mariadb import MariaDB
from support.mysql_client import client
from support.mysql_moving import MOVE, Others, answer, run
from support.mysql_raw import Raw
from support.proxy import Proxy

SCHEMA = """
create table t (id int primary key, b varchar(20)); insert into t values (1, 'x'), (2, 'y');
create table auto (id int auto_increment primary key, n int);
create database latin character set latin1;
"""


READ_SETTINGS = "select @@lock_wait_timeout, @@sort_buffer_size, @@global.join_buffer_size"
READ_LEVEL = "select @@session.tx_isolation, @@session.tx_read_only"
READ_READING = ("select @@character_set_client, @@character_set_results, @@collation_connection, @@time_zone, @@sql_mode,"
                " @@lc_time_names")
READ_ID = "select last_insert_id(), @@last_insert_id"
GIVEN = [step for sql in [
    "insert into auto (n) values (1)", "insert into auto (id, n) values (2000, 1)", "insert into auto (n) values (1)",
    "insert into auto (id, n) values (3000, 1)", "insert into auto set id = 3500, n = 1", "replace into auto values (3600, 2)",
    "insert into auto (id, n) values (null, 1), (4000, 1)", "insert into auto (id, n) values (4200, 1), (null, 1)",
    "insert into auto (n) select id from t", "insert into auto (id, n) select id + 5000, 1 from t", "insert into auto (id) values (0)",
    "insert into auto (id, n) values (5001, 7) on duplicate key update n = n + 1",
    "insert into auto (id, n) values (5002, 7) on duplicate key update n = 8, id = last_insert_id(id)",
    "insert ignore into auto (id) values (5001)", "insert ignore into auto (n) values (6), (7)",
    "insert into auto (n) values (1); insert into auto (id, n) values (9000, 1)",
    "insert into auto (id, n) values (9001, 1); insert into auto (n) values (9001)", "update auto set n = 5 where id = 3000",
    "insert into auto (n) values (9000) returning id", "insert into auto (id) values (12000) returning id",
    "delete from auto", "insert into auto (id) values ('13000')", "insert into auto (id) with x as (select 14000) select * from x",
    "delete from auto where id >= 13000", "begin; insert into auto (n) values (3); rollback", "insert into auto (id) values (15000.0)",
    "delete from auto"] for step in (sql, MOVE, READ_ID, "select 1", MOVE, READ_ID)] + ["alter table auto auto_increment = 1"]
SCRIPTS = {
    "a database that is gone": [
        "create database gone", "use gone", "drop database gone", "select database()", MOVE, "select database()", "select 1",
        "select * from t", "create database gone", "use gone", "select database()", MOVE, "select database()",
        "create table x (a int)", "drop database gone", MOVE, "use shop", "select * from t"],
    "settings for all beside the session's": [
        "set session sort_buffer_size = 1000000, @@global.join_buffer_size = 300000, lock_wait_timeout = 7", READ_SETTINGS, MOVE,
        READ_SETTINGS, "set global join_buffer_size = default, @@lock_wait_timeout = 8", MOVE, READ_SETTINGS],
    "the next transaction's level": [
        "set @@tx_isolation = 'READ-UNCOMMITTED', @@tx_read_only = 1", READ_LEVEL, "select * from t", MOVE, READ_LEVEL,
        "replace into t values (2, 'y')", "set tx_isolation = 'SERIALIZABLE'", MOVE, READ_LEVEL,
        "set session transaction isolation level read committed", MOVE, READ_LEVEL],
    "comments for other servers": [
        "/*!80000 SET SESSION information_schema_stats_expiry=0 */", MOVE, "select 1", MOVE, "select 2",
        "/*!99999 SET NAMES latin1 */", "/*!50701 SET time_zone = '+05:00' */; set /*!99999 sql_mode = 'ANSI', */ lc_time_names = 'de_DE'",
        READ_READING, MOVE, READ_READING, "/*!40101 SET NAMES latin1 */", "/*!101000 SET time_zone = '+04:00' */", MOVE, READ_READING,
        "/*!40101 SET NAMES utf8mb4 */; /*M!100100 SET time_zone = '+03:00' */", MOVE, READ_READING,
        "set /*!999999 /* nested */ time_zone = '+01:00', */ lc_time_names = 'fr_FR'", MOVE, READ_READING,
        "/*!99999 use latin */", "select database()", MOVE, "select database()", "/*!40000 use latin */", "select database()", MOVE,
        "select database()"],
    "numbers generated and given": GIVEN,
    "a character set by a database": [
        "use latin", "set character set utf8mb4", READ_READING, MOVE, READ_READING, "use shop", MOVE, READ_READING,
        "set names utf8mb4", MOVE, READ_READING],
}


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        db.sql(SCHEMA)
        yield db


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "caching"])
def proxy(db, request):
    caching = {"caching": {"disabled": not request.param}, "local": {"invalidation": "writes", "workers": 1}}
    # One is the cache's own.
    with Proxy(db, origin_connection_limit=2 + request.param, **caching) as p:
        yield p


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_session_may_move_after_each_statement(db, proxy, name):
    alone = run(db, SCRIPTS[name], lambda: None)
    with contextlib.ExitStack() as stack:
        assert run(proxy, SCRIPTS[name], Others(proxy, stack).move) == alone


@pytest.mark.parametrize("before,text,after", [
    ("set sql_mode = 'ANSI_QUOTES'", 'select "b", \'a\' from t where id = 1', "set sql_mode = ''"),
    ("set sql_mode = 'NO_BACKSLASH_ESCAPES'", "select 'a\\', id, '\\\\' from t where id = 1", "set sql_mode = ''"),
    ("set sql_mode = ''", "select 'a\\'', id, '\\\\' from t where id = 1", "set sql_mode = 'NO_BACKSLASH_ESCAPES'"),
    ("set sql_mode = 'PIPES_AS_CONCAT'", "select 1 || 2 from t where id = 1", "set sql_mode = default"),
    ("set names latin1", b"select '\xe4', charset('x'), hex('\xe4')", "set names utf8mb4"),
    ("set names utf8mb4", "select 'ä', collation('x'), hex('ä')", "set names latin1"),
    ("use latin", "select count(*), 'a' = 'A ' from shop.t", "use shop"),
], ids=str)
def test_a_statement_is_read_as_when_it_was_prepared(db, proxy, before, text, after):
    def answers(where, move):
        with Raw(where) as c:
            c.ask(before)
            statement = c.prepare(text)
            first = c.execute(statement)
            c.ask(after)
            move()
            moved = c.execute(statement), c.ask("select @@sql_mode, @@character_set_client, database()")
            move()
            return first, moved, c.execute(statement)

    with contextlib.ExitStack() as stack:
        assert answers(proxy, Others(proxy, stack).move) == answers(db, lambda: None)


@pytest.mark.parametrize("as_double", [False, True])
def test_a_number_that_an_execution_gives_is_not_taken_for_a_generated_one(db, proxy, as_double):
    def answers(where, move):
        found = []
        with Raw(where) as c:
            insert, read = c.prepare("insert into auto (id, n) values (?, ?)"), c.prepare("select last_insert_id()")
            generate = c.prepare("insert into auto (n) values (?)")
            for number in 7, 300, 70000, 17000000:
                for statement, values in [(generate, (5,)), (insert, (number, 1)), (generate, (2 * number,))]:
                    c.execute(statement, *values, as_double=as_double)
                    move()
                    found.append(c.execute(read))
                    c.ask("select 1")
                    move()
                    found.append(c.execute(read))
            c.ask("delete from auto")
            c.ask("alter table auto auto_increment = 1")
        return found

    with contextlib.ExitStack() as stack:
        assert answers(proxy, Others(proxy, stack).move) == answers(db, lambda: None)


# --- how sessions begin -----------------------------------------------------------------------------------------------

def test_a_session_begins_as_the_origin_lets_it_begin_now(db, proxy):
    read = "select 1 / 3, @@autocommit, @@sql_mode, @@tx_isolation"
    settings = "div_precision_increment = {}, sql_mode = {}, tx_isolation = {}"
    with client(proxy) as before:
        assert answer(before, read)
        for values in [(8, "'ANSI_QUOTES'", "'READ-COMMITTED'"), ("default", "default", "default")]:
            assert answer(before, "set global " + settings.format(*values)) == [()]
            with client(proxy) as after, client(db) as alone:
                expected = answer(alone, read)
                assert answer(after, read) == expected
                answer(after, "set " + settings.format("5", "''", "serializable"))
                answer(after, "set " + settings.format("default", "default", "default"))
                assert answer(after, read) == expected
                assert answer(after, 'select "b" from t where id = 1') == answer(alone, 'select "b" from t where id = 1')


def test_what_the_origin_runs_in_new_sessions_holds_behind_a_reset(db):
    db.sql("create user plain@'%' identified by 'plain-secret'; grant select on shop.* to plain@'%';"
           "set global init_connect = 'set lc_time_names = ''de_DE'''")
    read = "select dayname('2024-01-01')"
    try:
        with Proxy(db, origin_user="plain", origin_password="plain-secret", origin_connection_limit=1) as p:
            for leaves in ["set @x = 1", "select @x", "create temporary table x (a int)", "do get_lock('x', 0)"]:
                with client(p) as one, client(p) as other:
                    assert answer(one, read) == [(("Montag",),)]
                    answer(one, leaves)
                    answer(other, "select @x")
                    assert answer(other, read) == [(("Montag",),)]
    finally:
        db.sql("set global init_connect = ''")
