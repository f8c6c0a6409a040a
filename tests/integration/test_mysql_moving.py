"""A MySQL session whose statements run now on this connection, now on that one, is told what it would be told on one."""

import contextlib

import pymysql
import pytest

from support.mariadb import MariaDB
from support.mysql_client import client
from support.proxy import Proxy

SCHEMA = """
create table t (id int primary key, b varchar(20)); insert into t values (1, 'x'), (2, 'y');
create table auto (id int auto_increment primary key, n int);
create database latin character set latin1;
"""


MOVE = None  # in a script: what follows runs on the pool's other connection

SCRIPTS = {
    "a database that is gone": [
        "create database gone", "use gone", "drop database gone", "select database()", MOVE, "select database()", "select 1",
        "select * from t", "create database gone", "use gone", "select database()", MOVE, "select database()",
        "create table x (a int)", "drop database gone", MOVE, "use shop", "select * from t"],
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


class Others:
    """Two clients of whom one holds one of the pool's two connections in a transaction."""

    def __init__(self, proxy, stack):
        self.holder, self.free = (stack.enter_context(client(proxy)) for _ in range(2))
        self.take(self.holder)

    @staticmethod
    def take(c):
        for sql in ("begin", "select 1 from dual"):
            c.cursor().execute(sql)

    def move(self):
        self.take(self.free)  # the session's own, kept for it or not
        self.holder.rollback()
        self.holder, self.free = self.free, self.holder


def answer(c, sql):
    try:
        with c.cursor() as cursor:
            cursor.execute(sql)
            results = [cursor.fetchall()]
            while cursor.nextset():
                results.append(cursor.fetchall())
            return results
    except pymysql.err.MySQLError as error:
        return error.args[0]


def run(where, script, move):
    answers = []
    with client(where) as c:
        for step in script:
            move() if step is MOVE else answers.append((step, answer(c, step)))
    return answers


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_session_may_move_after_each_statement(db, proxy, name):
    alone = run(db, SCRIPTS[name], lambda: None)
    with contextlib.ExitStack() as stack:
        assert run(proxy, SCRIPTS[name], Others(proxy, stack).move) == alone
