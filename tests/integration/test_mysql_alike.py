"""Texts that differ in their values only share what is known of them: random values, odd ones, put into texts that read and write
through triggers, functions and views, straight to one MariaDB and through the proxy to another."""

import random

import pymysql
import pytest

from support.mariadb import MariaDB
from support.proxy import Proxy

SCHEMA = ["create table p (id int primary key auto_increment, a varchar(60), b int)",
          "create table q (id int primary key auto_increment, a varchar(60))",
          "create trigger t before insert on q for each row set @seen = concat(ifnull(@seen, ''), new.a)",
          "create function f(x int) returns int deterministic begin set @called = x; return x * 2; end",
          "create view v as select id, f(b) as fb from p"]

TEXTS = ["insert into p (a, b) values ({s}, {n})", "insert into q (a) values ({s})", "update p set a = {s} where b = {n}",
         "select a, b from p where b = {n} or a = {s} order by id limit {k}", "select id, f({n}) from p order by id limit {k}",
         "select fb from v where id < {n} order by id limit {k}", "delete from p where b = {n}",
         "select {n} + {n}, {s}, {n}.5", "select 'a' {s}", "select concat({s}, {s})",
         "select count(*) from p where a in ({s}, {s}) or b between {n} and {n}", "select @seen, @called",
         "select count(*) from p where id > {n}", "select count(*) from q where id > {n}",
         "select -{n}, \"{n}\", 'x{n}'", "select /* {n} */ {n}", "replace into p (id, a, b) values ({n}, {s}, {n})",
         "select date '2020-01-01' + interval {k} day", "select x'4{k}', _utf8mb4'{k}', b'1', n{s}", "set @mine = {n}",
         "select @mine", "select {n}e{k}, 0x{n}, .{n}, {n}."]

STRINGS = ["'a'", "'it''s'", "'b\\\\'", "''", "'-- x'", "'/* '", "'; select 2'", "'@x'", "\"d\"", "\"it's\"", "'`'", "'#'"]


def session(where):
    return pymysql.connect(host="127.0.0.1", port=where.port, user=where.user, password=where.password, database="shop",
                           autocommit=True).cursor()


def filled(text, random):
    for mark, value in (("{s}", lambda: random.choice(STRINGS)), ("{n}", lambda: str(random.randrange(1, 5))),
                        ("{k}", lambda: str(random.randrange(1, 4)))):
        while mark in text:
            text = text.replace(mark, value(), 1)
    return text


def told(cursor, text):
    try:
        cursor.execute(text)
    except pymysql.MySQLError as error:
        return error.args
    return cursor.rowcount, cursor.fetchall(), cursor.lastrowid


@pytest.fixture(scope="module")
def origins():
    with MariaDB() as first, MariaDB() as second:
        for each in (first, second):
            each.sql(f"grant all on *.* to {each.user}")
            cursor = session(each)
            for statement in SCHEMA:
                cursor.execute(statement)
        yield first, second


@pytest.mark.parametrize("features, cached", [("pin", False), ("hyperdrive", True)])
def test_values_make_no_difference_but_their_own(origins, features, cached):
    # What is pinned is not cached; and else user variables go with their connection.
    texts = [text for text in TEXTS if "@" not in text or features == "pin"]
    with Proxy(origins[1], caching={"disabled": False, "max_age": 60} if cached else {"disabled": True},
               origin_connection_limit=4, local={"session_features": features, "invalidation": "writes"}) as proxy:
        for seed in range(8):
            dice = random.Random(seed)
            straight, through = [session(origins[0]) for _ in range(3)], [session(proxy) for _ in range(3)]
            for step in range(40):
                who, text = dice.randrange(3), filled(dice.choice(texts), dice)
                assert told(through[who], text) == told(straight[who], text), (seed, step, text)
            for cursor in straight + through:
                cursor.connection.close()
