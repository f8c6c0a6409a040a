"""The small shop in a throwaway database of either kind, and how one talks to it: for the demo."""

import contextlib
import os
from urllib.parse import urlsplit

FOLDER = os.path.dirname(os.path.abspath(__file__))


class PostgresShop:
    title, short, scheme, placeholder = "Postgres 15", "Postgres", "postgresql", "$1"

    def __init__(self):
        from .postgres import Postgres
        self.server = Postgres()

    def fill(self) -> int:
        with open(os.path.join(FOLDER, "shop.sql")) as f:
            self.server.psql(f.read())
        return int(self.server.psql("select (select count(*) from products) + (select count(*) from orders)"))

    @contextlib.contextmanager
    def connect(self, url: str):
        """Gives a function that runs a statement and returns its rows."""
        import psycopg
        with psycopg.connect(url, autocommit=True) as connection:
            def execute(sql, values=()):
                cursor = connection.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
            yield execute

    def client_line(self, name: str, url: str) -> str:
        return f"psql \"$(hyperdrive url {name})\""


class MysqlShop:
    title, short, scheme, placeholder = "MariaDB", "MariaDB", "mysql", "?"

    def __init__(self):
        from .mariadb import MariaDB
        self.server = MariaDB()

    def fill(self) -> int:
        with open(os.path.join(FOLDER, "shop-mysql.sql")) as f:
            self.server.sql(f.read())
        return int(self.server.sql("select (select count(*) from products) + (select count(*) from orders)"))

    @contextlib.contextmanager
    def connect(self, url: str):
        """Gives a function that runs a statement and returns its rows."""
        import pymysql
        at = urlsplit(url)
        connection = pymysql.connect(host=at.hostname, port=at.port, user=at.username, password=at.password,
                                     database=at.path[1:], autocommit=None)
        try:
            def execute(sql, values=()):
                with connection.cursor() as cursor:
                    cursor.execute(sql, values)
                    return cursor.fetchall()
            yield execute
        finally:
            connection.close()

    def client_line(self, name: str, url: str) -> str:
        at = urlsplit(url)
        return f"mariadb -h {at.hostname} -P {at.port} -u {at.username} -p{at.password} {at.path[1:]}"


def shop(kind: str):
    """`postgres` or `mysql`; other words are refused."""
    kinds = {"postgres": PostgresShop, "postgresql": PostgresShop, "mysql": MysqlShop, "mariadb": MysqlShop}
    if kind not in kinds:
        raise SystemExit(f"demo: DB={kind} is not known: postgres or mysql")
    return kinds[kind]()
