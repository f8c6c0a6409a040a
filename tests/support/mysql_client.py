"""A PyMySQL client for tests, and the rows of a statement."""

import contextlib

import pymysql

from .ports import PATIENCE


@contextlib.contextmanager
def client(where, **more):
    """Logged in at `where` (a MariaDB or a Proxy); closed at the end, whatever it is in the midst of."""
    c = pymysql.connect(**where.login(), **({"autocommit": True, "read_timeout": 60 * PATIENCE} | more))
    try:
        yield c
    finally:
        with contextlib.suppress(Exception):
            c.close()


def rows(c, sql, *arguments):
    """Of the first result, where there are several."""
    with c.cursor() as cursor:
        cursor.execute(sql, arguments or None)
        first = list(cursor.fetchall())
        while cursor.nextset():
            pass
        return first
