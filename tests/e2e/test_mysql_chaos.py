"""A relay that splits, stalls, resets and half-closes, on each side of the MySQL proxy: right answers or clean errors, never
a hang, and a proxy that goes on."""

import pymysql
import pytest
from support.chaos import ChaosRelay
from support.mariadb import MariaDB
from support.ports import wait_for
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origin():
    with MariaDB() as db:
        yield db


class Chain:
    """client -> near relay -> proxy -> far relay -> MariaDB"""

    def __init__(self, origin):
        self.origin = origin

    def __enter__(self):
        self.far = ChaosRelay(self.origin.port).__enter__()
        self.proxy = Proxy(self.origin, port=self.far.port, origin_connection_limit=2,
                           local={"connect_timeout": "2s", "wait_timeout": "3s"}).__enter__()
        self.near = ChaosRelay(self.proxy.port).__enter__()
        return self

    def __exit__(self, *exc):
        self.near.__exit__()
        self.proxy.__exit__(*exc)
        self.far.__exit__()

    def connect(self, port=None):
        return pymysql.connect(host="127.0.0.1", port=port or self.near.port, user=self.proxy.user,
                               password=self.proxy.password, database="shop", autocommit=True, read_timeout=30)

    def work(self, port=None):
        """A short conversation whose every answer is known."""
        with self.connect(port) as db, db.cursor() as cursor:
            for i in range(8):
                cursor.execute("select %s, %s", (i, "v" * i))
                assert cursor.fetchall() == ((i, "v" * i),)
            cursor.execute("select seq from seq_1_to_300")
            assert len(cursor.fetchall()) == 300
            with pytest.raises(pymysql.err.ProgrammingError):
                cursor.execute("select * from no_such_table")
            cursor.execute("select 'after'")
            assert cursor.fetchall() == (("after",),)
        return True

    def still_serves(self):
        try:
            return self.work(self.proxy.port)
        except pymysql.err.Error:
            return False


@pytest.fixture()
def chain(origin):
    with Chain(origin) as chain:
        yield chain


@pytest.mark.parametrize("size", [1, 3])
def test_single_bytes_on_both_sides(chain, size):
    chain.near.split = chain.far.split = size
    assert chain.work()


@pytest.mark.parametrize("side", ["near", "far"])
@pytest.mark.parametrize("fault", ["cut_after", "half_close_after"])
@pytest.mark.parametrize("after", [3, 90, 400, 1500])
def test_a_connection_that_ends_anywhere_is_a_clean_error(chain, side, fault, after):
    setattr(getattr(chain, side), fault, after)
    try:
        chain.work()
    except pymysql.err.Error:
        pass
    setattr(getattr(chain, side), fault, None)
    wait_for(chain.still_serves, 20, "the proxy serves after the fault")


@pytest.mark.parametrize("side", ["near", "far"])
def test_resets_between_statements(chain, side):
    db = chain.connect()
    with db.cursor() as cursor:
        cursor.execute("select 1")
    getattr(chain, side).reset_all()
    wait_for(chain.still_serves, 20, "the proxy serves after the reset")
