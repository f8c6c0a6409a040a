"""LAST_INSERT_ID() and LASTVAL() of sessions that take turns on one connection: what each would be told on its own."""

import contextlib

import pytest

from support.mariadb import MariaDB
from support.mysql_raw import Raw
from support.proxy import Proxy

SCHEMA = """
create or replace table t (k int auto_increment primary key, v varchar(50)); insert into t (v) values ('a'), ('b'), ('c');
create or replace table h (k int primary key, v int); drop table if exists d; create or replace sequence s;
create table d (k int primary key default (nextval(s)), v varchar(9));
create or replace table u (k int auto_increment primary key, v int) auto_increment = 4;
"""
FOREIGN = (0, "insert into t (v) values ('q')")  # 4, which is none of the second session's business
ASK = "select last_insert_id()"
CASES = {
    **{sql: [FOREIGN, (1, sql), (0, "do 0"), (1, ASK), (0, ASK)] for sql in [
        "replace into t values (1, 'x')", "replace into t values (4, 'x')", "insert into t values (50, 'x') returning v",
        "insert into t (k, v) select k + 100, v from t limit 1", "insert into t (v) select v from t limit 1",
        "insert into t values (1, '40') on duplicate key update v = 3", "insert into t (k, v) values (null, 'x'), (60, 'y') returning k",
        "set statement max_statement_time = 4 for insert into t (k, v) values (90, 'q')",
        "begin not atomic insert into t (k, v) values (90, 'q'); end", "execute immediate 'insert into t (k, v) values (95, 1)'"]},
    **{f"the same number as another's, {what}": [FOREIGN, (1, sql), (1, ASK), (0, ASK), (1, ASK)] for what, sql in {
        "as a value": "insert into u (v) values (4)", "by a query": "insert into u (v) select 9",
        "in a text": "do 0; insert into u (v) values (9)"}.items()},
    "its own before": [(1, "insert into t (v) values ('first')"), FOREIGN, (1, "replace into t values (50, 'x')"), (0, "do 0"), (1, ASK)],
    "asked at once": [FOREIGN, (1, "replace into t values (50, 'x')"), (1, ASK), (1, "insert into h values (44, last_insert_id())"),
                      (1, "select v from h where k = 44")],
    "said to be that": [FOREIGN, (1, "replace into t values (50, 'x')"), (1, "select last_insert_id(4)"), (0, "do 0"), (1, ASK)],
    "generated behind": [FOREIGN, (1, "replace into t values (50, 'x')"), (1, "insert into t (v) values ('n')"), (0, "do 0"), (1, ASK)],
    "whose session has gone": [(0, "replace into t values (50, 'x')"), (0, None), (1, "replace into t values (51, 'x')"), (1, ASK)],
    "another's draw": [(0, "select nextval(s)"), (1, "select 1"), (1, "select lastval(s), previous value for s")],
    "another's currval": [(0, "select nextval(s)"), (1, "set sql_mode = oracle"), (1, "select s.currval")],
    "another's default": [(0, "insert into d (v) values ('x')"), (1, "select 1"), (1, "select lastval(s)")],
    "one's own draw": [(0, "select nextval(s)"), (0, "select lastval(s)"), (1, "select nextval(s)"), (1, "select lastval(s)")],
    "a draw in a transaction": [(0, "select nextval(s)"), (1, "begin"), (1, "select next value for s"), (1, "select lastval(s)"), (1, "commit")],
}
GONE = [(0, "select nextval(s)"), (1, "insert into t (v) values ('x')"), (0, "select lastval(s)")]


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        yield db


@pytest.fixture(scope="module", params=["hyperdrive", "pin"])
def proxy(db, request):
    # Of those that pin each keeps one.
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1 if request.param == "hyperdrive" else 2,
               local={"session_features": request.param, "wait_timeout": "5s"}) as p:
        yield p


def told(db, where, case):
    db.sql(SCHEMA)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(Raw(where)) for _ in range(2)]
        answers = []
        for session, sql in case:
            if sql is None:
                sessions[session].socket.close()
            else:
                answers.append((sql, [payload for _, payload in sessions[session].ask(sql)][-2:]))
        return answers


@pytest.mark.parametrize("case", CASES)
def test_who_takes_turns_is_told_numbers_of_ones_own(db, proxy, case):
    assert told(db, proxy, CASES[case]) == told(db, db, CASES[case])


def test_a_sequences_number_that_stayed_on_anothers_connection_is_said_to_be_gone(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p:
        assert told(db, p, GONE)[-1][1][0][:3] == b"\xff" + (1235).to_bytes(2, "little")


def test_with_pin_who_asks_for_a_sequences_number_keeps_its_connection(db):
    again = [(0, "select lastval(s)"), *GONE]
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=2, local={"session_features": "pin"}) as p:
        assert told(db, p, again) == told(db, db, again)
