"""What a session asks about statements before, and texts whose reading changes midway: as the origin answers, or refused."""

import pytest

from support import mywire
from support.mariadb import MariaDB
from support.mysql_raw import Raw
from support.proxy import Proxy

SCHEMA = """
create or replace table t (k int auto_increment primary key, v varchar(50)); insert into t (v) values ('a'), ('b'), ('c');
create or replace table n (a tinyint); drop table if exists d; create or replace sequence s; create or replace table h (k int primary key, v int);
create table d (k int primary key default (nextval(s)), v varchar(9));
create or replace procedure warns() select 1/0;
"""
REFUSED = ("err", 1235)
WARN = ["drop table if exists nope", "create table if not exists t (k int)", "create index i on n (a); create index i2 on n (a)",
        "drop temporary table if exists nope", "drop view if exists nope", "drop procedure if exists nope", "drop table nope",
        "alter table n add column if not exists a int", "create table if not exists n like t", "drop table if exists nope; select 1",
        "insert ignore into n values (1000)", "create procedure nope_p() select last_insert_id(), row_count(), lastval(s); drop procedure nope_p"]
SETTINGS = "select @@time_zone, @@div_precision_increment, @@sql_mode like '%ANSI_Q%', @@sql_mode like '%NO_BACK%'"
TEXTS = [
    r"""set sql_mode = 'ANSI_QUOTES'; set div_precision_increment = 7; set sql_mode = ''; set time_zone = "+05:00" """,
    r"""set sql_mode = 'NO_BACKSLASH_ESCAPES'; select 'a\'; set time_zone = '+05:00'; set sql_mode = ''; select 'it\'s; set time_zone=''+01:00'';' """,
    r"""set @o = @@sql_mode, sql_mode = 'NO_BACKSLASH_ESCAPES'; select '\'; set time_zone = '+05:00'; set sql_mode = @o; select 'x\'; set time_zone=''+01:00'';' """,
    r"""set sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); select '\'; set time_zone = '+05:00'; select ';\' """,
    r"""/*!40101 SET @o=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */; insert into t (v) values ('it\'s', "a;b"); /*!40101 SET SQL_MODE=@o */; set div_precision_increment = 8""",
    r"""set sql_mode = 'NO_BACKSLASH_ESCAPES', sql_mode = default; select 'a\'; set time_zone=''+05:00'';' """,
    r"""execute immediate 'set sql_mode = NO_BACKSLASH_ESCAPES'; select 'a\'; set time_zone = '+05:00'; select '\' """,
    *(text + r"""; select 'a\'; set time_zone = '+05:00'; -- '""" for text in [
        "set sql_mode = replace('NX_BACKSLASH_ESCAPES', 'X', 'O')", "set sql_mode = concat_ws('O', 'N', '_BACKSLASH_ESCAPES')",
        "set @m = '_ESCAPES', sql_mode = concat('NO_BACKSLASH', @m)", "set @m = '', @n = 'no', sql_mode = concat(@n, '_BACKSLASH_ESCAPES')",
        "set @m = ''; select 'NO_BACKSLASH_ESCAPES' into @m; set sql_mode = @m", "set @m = ''; select @m := 'NO_BACKSLASH_ESCAPES'; set sql_mode = @m",
        "set @`m` = ''; set @m = 'NO_BACKSLASH_ESCAPES'; set sql_mode = @`m`", "set @m = ''; set @y = (select @m := 'NO_BACKSLASH_ESCAPES'); set sql_mode = @m",
        "set @m = ''; set @y = @m := 'NO_BACKSLASH_ESCAPES'; set sql_mode = @m",
        "set @m = '', @y = (select @m := 'NO_BACKSLASH_ESCAPES'), sql_mode = @m"]),
    "if 0 then select 1; set time_zone = '+05:00'; end if", "x: loop if 1 then leave x; end if; set time_zone = '+06:00'; end loop",
    "set sql_mode = 'ORACLE'; begin if 1 = 0 then select 1; set time_zone = '+05:00'; end if; end;",
]
THREE = (1, "select k from t")
FOUND = "select found_rows()"
LASTVAL = "select lastval(s)"
DREW = (1, "select nextval(s)")
NUMBERS = {
    **{f"found behind {sql}": [(0, "select 1 union select 2"), THREE, (0, sql), (0, FOUND)] for sql in [
        "values (1), (2)", "insert into t (v) values ('x')", "update t set v = 'q'", "set names utf8mb4", "begin", "truncate n",
        "insert into t (v) values ('x') returning k", "create table if not exists t (k int)", "insert into t (v) select 'x'", "show tables",
        "values (1); select found_rows()"]},
    "found at once": [THREE, (0, "with x as (select 1 union select 2) select * from x"), (0, FOUND), (1, FOUND)],
    "found and changed": [THREE, (0, "select 1 union select 2"), (0, "update t set v = 'q'"), (0, "select row_count(), found_rows()")],
    "found behind a memory": [(0, "select 1 union select 2"), (1, "select k from t"), (1, "values (1), (2)"), (0, FOUND), (1, FOUND)],
    **{f"drawn by {sql}": [DREW, (0, sql), (0, LASTVAL)] for sql in [
        "insert into d values (50, 'x')", "replace into d values (50, 'x')", "update t set v = 'q'", "insert into d (v) values ('x')",
        "select nextval(s) from t where 0", "select 0 && nextval(s)", "select 1 || nextval(s)", "select field(1, 1, nextval(s))",
        "select concat(null, nextval(s))", "select make_set(0, nextval(s))", "insert into h values (1, 0 && nextval(s))", "insert into h values (1, nextval(s))",
        "select 1, nextval(s) as x", "select if(0, nextval(s), 1)", "create or replace sequence s2; select nextval(s2)", "select nextval(s)", "select next value for s"]},
    "a count that would draw again": [(0, "select sql_calc_found_rows nextval(s) from t limit 1"), THREE, (0, FOUND), (0, "select nextval(s)")],
    "a count that would set again": [(0, "select sql_calc_found_rows @x := 5"), THREE, (0, FOUND), THREE, (1, "select @x is null")],
    "asked before": [DREW, (0, "insert into d (v) values ('x')"), (0, LASTVAL), (1, "insert into d (v) values ('y')"),
                     (0, "insert into d (v) values ('z')"), (0, LASTVAL)],
}


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        yield db


@pytest.fixture(scope="module", params=["hyperdrive", "pin", "cached"])
def proxy(db, request):
    cached = request.param == "cached"
    features = "pin" if request.param == "pin" else "hyperdrive"
    with Proxy(db, caching={"disabled": not cached}, origin_connection_limit=(1 if features == "hyperdrive" else 2) + cached,
               local={"session_features": features, "wait_timeout": "5s"}) as p:
        if cached:
            p.wait_known()
        yield p


def ask(client: mywire.Wire, sql: str) -> list:
    client.send(mywire.query(sql))
    events = client.reply("query", sent=mywire.query(sql))
    return [(event[0], event[1]) for event in events if event[0] in ("row", "err")]


def told(db, where, case) -> list:
    db.sql(SCHEMA)
    sessions = [mywire.Wire(where.port, where.user, where.password, "shop", mywire.USUAL | mywire.MULTI_STATEMENTS) for _ in range(2)]
    answers = [ask(sessions[session], sql) for session, sql in case]
    for session in sessions:
        session.close()
    return answers


@pytest.mark.parametrize("sql", WARN)
def test_warnings_of_definitions_are_there_to_be_read(db, proxy, sql):
    case = [(0, sql), (0, "show warnings"), (0, "select @@warning_count")]
    assert told(db, proxy, case) == told(db, db, case)


@pytest.mark.parametrize("sql", ["call warns()", "do 1/0", "do 1/0, cast('abc' as signed)", "execute immediate 'select 1/0'", "set @a = cast('abc' as signed)",
                                 "select @b := cast('abc' as signed)", "begin not atomic do 1/0; end"])
def test_warnings_of_a_statement_whose_connection_is_reset_are_there_to_be_read(db, proxy, sql):
    case = [(0, sql), (1, "select 1"), (0, "show warnings"), (0, "  SHOW Warnings ;"), (1, "show warnings"), (0, "select count(*) from t"), (0, "show warnings")]
    assert told(db, proxy, case) == told(db, db, case)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_changes_how_it_is_read_leaves_what_it_sets_or_does_not_run(db, proxy, text):
    case = [(0, text), (0, SETTINGS), (1, SETTINGS), (0, SETTINGS)]
    direct, pooled = told(db, db, case), told(db, proxy, case)
    if pooled[0] == [REFUSED]:
        assert pooled[1] == pooled[2] == direct[2]
    else:
        assert pooled == direct


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_is_the_sessions_own_or_refused(db, proxy, case):
    direct, pooled = told(db, db, NUMBERS[case]), told(db, proxy, NUMBERS[case])
    assert all(answer in (right, [REFUSED]) for answer, right in zip(pooled, direct)), (pooled, direct)


def test_who_has_asked_for_a_sequences_number_takes_the_next_where_nobody_else_did(db, proxy):
    case = NUMBERS["asked before"]
    assert told(db, proxy, case)[-1] == told(db, db, case)[-1]


def test_statements_that_are_kept_in_case_make_room_for_others(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p:
        db.sql("set global max_prepared_stmt_count = 10")
        try:
            with Raw(p) as client:
                for i in range(60):
                    statement = client.prepare(f"select {i}")
                    assert client.execute(statement)[-1][1][0] != 0xFF, i
                    client.socket.sendall(client.framed(b"\x19" + statement.to_bytes(4, "little")))
        finally:
            db.sql("set global max_prepared_stmt_count = default")


def test_seeds_are_for_the_next_statement_and_keep_no_connection(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1, local={"wait_timeout": "5s"}) as p:
        case = [(0, "set rand_seed1 = 5, rand_seed2 = 6"), (0, "select rand()"), (1, "select 1"), (0, "select 2")]
        assert told(db, p, case) == told(db, db, case)
