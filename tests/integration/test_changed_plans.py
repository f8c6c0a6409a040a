"""Tables that change under prepared statements: whoever goes by what it was told before hears it, as from Postgres, and
is never given rows of another shape, nor are its parameters taken for values of another type.

The DDL goes past the proxy, or through it; another client holds the connection on which the statement was prepared.
"""

import contextlib
import random
import struct
import threading
import time

import pytest
from support.pgwire import SYNC, Connection, bind, close, describe, error_fields, execute, parse, query
from support.postgres import Postgres
from support.proxy import Proxy

CHANGED = "0A000"


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        yield pg


@pytest.fixture
def proxy(pg):
    pg.psql("drop table if exists wide, shifting; create table wide (a int, b int, c int); insert into wide values (1, 2, 3);"
            "drop table if exists measured; create table measured (x float4, n int); insert into measured values (1.5, 7), (100, 8)")
    with Proxy(pg, origin_connection_limit=3) as p:
        yield p


@pytest.fixture(params=["past the proxy", "through it"])
def change(pg, proxy, request):
    def through(sql):
        with Connection.open(proxy.url()) as c:
            c.query(sql)
    return pg.psql if request.param == "past the proxy" else through


@contextlib.contextmanager
def elsewhere(proxy):
    """What others ask meanwhile is asked on another connection than before."""
    with Connection.open(proxy.url()) as holder:
        holder.send(query("begin"), query("select 1"))
        holder.until_ready(), holder.until_ready()
        yield


def say(c, *messages):
    """The rows as they came, or the error's code."""
    c.send(*messages, SYNC)
    heard = c.until_ready()
    errors = [error_fields(body)["C"] for kind, body in heard if kind == "E"]
    return errors[0] if errors else [body for kind, body in heard if kind == "D"]


@pytest.mark.parametrize("described", [(), (describe("P"),)], ids=["", "described"])
def test_formats_of_columns_that_are_no_more_say_that_the_plan_has_changed(proxy, change, described):
    with Connection.open(proxy.url()) as c:
        say(c, parse("s", "select * from wide"), describe("S", "s"))
        use = (bind("", "s", results=(1, 1, 1)), *described, execute())
        assert len(say(c, *use)) == 1
        with elsewhere(proxy):
            change("alter table wide drop column b")
            assert say(c, *use) == CHANGED
            say(c, close("S", "s"), parse("s", "select * from wide"), describe("S", "s"))
            assert len(say(c, bind("", "s", results=(1, 1)), *described, execute())) == 1


def test_rows_of_what_somebody_else_has_prepared_since_are_not_decoded_by_an_older_shape(proxy, change):
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as other:
        say(c, parse("s", "select * from wide"), describe("S", "s"))
        assert len(say(c, bind("", "s"), execute())) == 1
        with elsewhere(proxy):
            change("alter table wide drop column b")
            say(other, parse("s", "select * from wide"))
            assert len(say(other, bind("", "s"), execute())) == 1
            assert say(c, bind("", "s"), execute()) == CHANGED


@pytest.mark.parametrize("name", ["s", ""])
@pytest.mark.parametrize("described", [(), (describe("P"),)], ids=["", "described"])
def test_parameters_are_never_taken_for_another_type_than_the_client_was_told(proxy, change, name, described):
    fifty = struct.pack("!f", 50.0)
    with Connection.open(proxy.url()) as c:
        say(c, parse(name, "select n from measured where x > $1"), describe("S", name))
        with elsewhere(proxy):
            change("alter table measured alter x type int")
            rows = say(c, bind("", name, [fifty], (1,)), *described, execute())
    assert rows == CHANGED if not name else rows in (CHANGED, [b"\0\1\0\0\0\1" + b"8"])


def test_who_prepares_behind_a_change_fails_at_most_once(proxy, pg):
    text = "select a from wide where b = $1"
    with Connection.open(proxy.url()) as c:
        say(c, parse("s", text), describe("S", "s"))
    pg.psql("alter table wide alter b type text")
    answers = []
    for _ in range(3):
        with Connection.open(proxy.url()) as c:
            answers.append(say(c, parse("s", text), describe("S", "s")))
            say(c, bind("", "s", ["2"]), execute())
    assert answers[1:] == [[], []]


def test_a_table_that_comes_back_serves_those_who_had_prepared_for_it(proxy, pg):
    with Connection.open(proxy.url()) as c:
        say(c, parse("s", "select b from wide"), describe("S", "s"))
        pg.psql("alter table wide rename to away")
        assert say(c, bind("", "s"), execute()) == "42P01"
        pg.psql("alter table away rename to wide")
        assert len(say(c, bind("", "s"), execute())) == 1


ALTER = {"by query": query("alter table wide add d int"),
         "by a statement": parse("ddl", "alter table wide add d int") + bind("", "ddl") + execute() + SYNC}


@pytest.mark.parametrize("name", ["s", ""])
@pytest.mark.parametrize("altered", ALTER)
@pytest.mark.parametrize("way", ["rolled back", "back to a savepoint", "undone by an error"])
def test_what_was_changed_and_taken_back_outdates_nothing(pg, way, altered, name):
    use = bind("", name) + execute() + SYNC
    begin, back = {"rolled back": (["begin"], "rollback"), "back to a savepoint": (["begin", "savepoint a"], "rollback to a"),
                   "undone by an error": (["begin"], "commit")}[way]

    def told(url):
        heard = []
        with Connection.open(url) as c:
            def say_all(*messages):
                c.send(*messages)
                heard.append([(k, error_fields(b)["C"] if k == "E" else b) for k, b in c.until_ready() if k in "DEZ"])
            for sql in begin:   # by statements: a Query would take the unnamed one with it
                say_all(parse("x", sql), bind("", "x"), execute(), close("S", "x"), SYNC)
            if altered == "by query" and not name:
                return []
            say_all(parse(name, "select * from wide"), describe("S", name), SYNC)
            say_all(use)
            say_all(ALTER[altered])
            say_all(use)
            say_all(parse("x", back), bind("", "x"), execute(), close("S", "x"), SYNC)
            say_all(use)
            say_all(use)
        return heard
    with Proxy(pg, origin_connection_limit=1) as proxy:
        pg.psql("drop table if exists wide; create table wide (a int, b int, c int); insert into wide values (1, 2, 3)")
        got = told(proxy.url())
        assert got == told(pg.url())
        assert not got or [k for k, _ in got[-1]] == ["D", "Z"]


def test_a_statement_that_was_parsed_behind_a_change_is_parsed_again_when_it_is_taken_back(proxy):
    """Others had it parsed elsewhere; on this connection it was parsed by what is no more."""
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as other:
        say(other, parse("s", "select * from wide"), describe("S", "s"))
        with elsewhere(proxy):
            c.query("begin")
            c.query("alter table wide drop column b")
            assert say(c, parse("t", "select * from wide"), describe("S", "t"), bind("", "t"), execute()) == [b"\0\2\0\0\0\0011\0\0\0\0013"]
            c.query("rollback")
            for _ in range(3):
                assert len(say(other, bind("", "s"), execute())) == 1
            assert say(c, bind("", "t"), execute()) == CHANGED


def test_an_error_does_not_make_believe_that_a_shape_was_compared(pg, proxy, change):
    with Connection.open(proxy.url()) as c:
        say(c, parse("", "select *, 1 / a from wide"), describe("S"))
        with elsewhere(proxy):
            change("alter table wide drop column b")
            pg.psql("update wide set a = 0")
            assert say(c, bind("", ""), describe("P"), execute()) == "22012"
            pg.psql("update wide set a = 1")
            assert say(c, bind("", ""), execute()) == CHANGED


ONE = {23: struct.pack("!i", 1), 20: struct.pack("!q", 1), 700: struct.pack("!f", 1), 701: struct.pack("!d", 1), 25: b"1"}
TYPES = ("int", "bigint", "float4", "float8", "text")


def told_types(description):
    """The types of the columns."""
    types, at = [], 2
    for _ in range(struct.unpack_from("!H", description)[0]):
        at = description.index(b"\0", at) + 1
        types.append(struct.unpack_from("!I", description, at + 6)[0])
        at += 18
    return types


def ask_for_one(c, name, dice, wrong):
    """Prepares, and asks for the row whose value is one in whatever type was told, until the plan has changed."""
    c.send(*((close("S", name), SYNC) if name else ()), parse(name, "select v, * from shifting where v = $1"), describe("S", name), SYNC)
    heard = dict(c.until_ready() if not name else [*c.until_ready(), *c.until_ready()])
    if "E" in heard:
        return 0
    types, parameter = told_types(heard["T"]), struct.unpack_from("!I", heard["t"], 2)[0]
    for turn in range(dice.randint(1, 40)):
        described = dice.random() < 0.5
        c.send(bind("", name, [ONE[parameter]], (1,), (1,)), *((describe("P"),) if described else ()), execute(), SYNC)
        heard = c.until_ready()
        failed = [error_fields(body)["C"] for kind, body in heard if kind == "E"]
        if failed:
            wrong.extend(code for code in failed if code not in (CHANGED, "42883", "42703"))
            return turn
        now = told_types(next(body for kind, body in heard if kind == "T")) if described else types
        rows = [body for kind, body in heard if kind == "D"]
        expected = b"".join(struct.pack("!i", len(ONE[t])) + ONE[t] for t in now)
        if rows != [struct.pack("!H", len(now)) + expected]:
            wrong.append((name, now, rows))
    return turn


def test_rows_and_parameters_are_right_while_a_column_changes_all_the_time(proxy, pg):
    pg.psql("create table shifting (v int); insert into shifting values (1)")
    done, wrong, answers = threading.Event(), [], []

    def client(seed, name):
        dice = random.Random(seed)
        try:
            while not done.is_set():
                with Connection.open(proxy.url()) as c:
                    answers.append(sum(ask_for_one(c, name, dice, wrong) for _ in range(5)))
        except Exception as error:
            wrong.append(repr(error))
    clients = [threading.Thread(target=client, args=(seed, name)) for seed, name in enumerate(["s", "", "t", "", "s"])]
    for thread in clients:
        thread.start()
    dice, ends = random.Random(9), time.monotonic() + 4
    try:
        while time.monotonic() < ends and not wrong:
            to = dice.choice(TYPES)
            change = f"alter table shifting alter v type {to} using v::{to}"
            if dice.random() < 0.5:
                pg.psql(change)
            else:
                with Connection.open(proxy.url()) as c:
                    c.query(change)
    finally:
        done.set()
        for thread in clients:
            thread.join()
    assert not wrong, wrong[:5]
    assert sum(answers) > 0
