"""A session's script, told on one connection, and on two of a pool between which it is made to move."""

import pymysql

from .mysql_client import client

MOVE = None  # in a script: what follows runs on the pool's other connection


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
