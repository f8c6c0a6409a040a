"""Names of statements and portals: as long, as odd and in whatever encoding Postgres takes them."""

import pytest

from support.differential.sides import normalise
from support.pgwire import SYNC, Connection, bind, close, describe, execute, message, parse, query
from support.postgres import Postgres
from support.proxy import Proxy

LONG = "n" * 70
PREPARED = 'prepare "' + "m" * 70 + '" as select 1'
ANY = [   # each write, which ends with one ReadyForQuery
    [parse(LONG, "select 1") + SYNC, bind("", "n" * 63) + execute() + SYNC, parse("n" * 63 + "other", "select 2") + SYNC,
     parse("n" * 63, "select 3") + SYNC, describe("S", "n" * 64) + SYNC, close("S", "n" * 63) + SYNC, bind("", LONG) + execute() + SYNC],
    [parse("n" * 63, "select 1") + SYNC, close("S", LONG) + parse(LONG, "select 2") + bind("", "n" * 63) + execute() + SYNC],
    [parse(LONG, "select 1") + SYNC, query(f'deallocate "{"n" * 63}"'), bind("", LONG) + SYNC],
    [query("begin"), parse("s", "discard all") + bind("p" * 70, "s") + execute("p" * 64) + SYNC, query("rollback")],
    [parse(" ", "select 1") + parse("  ", "select 2") + bind(" ", " ") + execute(" ") + SYNC, query('deallocate " "'),
     bind("", " ") + SYNC, bind("", "  ") + execute() + SYNC],
    [message(b"P", b"\xff\0select 1\0\0\0") + SYNC, message(b"B", b"\0\xff\0\0\0\0\0\0\0") + SYNC],
    [message(b"C", b"S\xff\0") + SYNC, message(b"C", b"P\xff\0") + SYNC, message(b"D", b"S\xff\0") + SYNC, message(b"E", b"\xff\0\0\0\0\0") + SYNC],
    [query("begin"), message(b"C", b"S\xc3\0") + SYNC, query("select 1"), query("rollback")],
    [parse("é" * 20, "select 1") + SYNC, parse("é" * 40, "select 2") + SYNC, bind("", "é" * 40) + execute() + SYNC,
     parse("é" * 33, "select 3") + SYNC, query(f'deallocate "{"é" * 20}"'), bind("", "é" * 20) + SYNC,
     close("S", "é" * 40) + parse("ü", "selec") + SYNC, bind("", "é" * 40) + execute() + SYNC, close("S", "é" * 40) + SYNC, bind("", "é" * 40) + SYNC],
]
PINNED = [
    [query(PREPARED), query("execute " + "m" * 63), bind("", "m" * 63) + execute() + SYNC, query(f'deallocate "{"m" * 66}"'), query("execute " + "m" * 63)],
    [query("prepare sa as select 1"), bind("", "sa") + execute() + SYNC, close("S", "sa") + SYNC, query("execute sa")],
    [query("prepare sa as select 1"), parse("sa", "select 2") + SYNC, query("deallocate sa"), parse("sa", "select 2") + SYNC, bind("", "sa") + execute() + SYNC],
]


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        yield pg


@pytest.fixture(scope="module", params=["hyperdrive", "pin"])
def proxy(pg, request):
    with Proxy(pg, caching={"disabled": False}, origin_connection_limit=2,
               local={"session_features": request.param, "invalidation": "writes"}) as p:
        p.wait_known()
        yield p


def conversation(url, writes):
    with Connection.open(url) as c:
        heard = []
        for write in writes:
            c.send(write)
            heard += [normalise(kind, body) for kind, body in c.until_ready()]
        return heard


@pytest.mark.parametrize("turn", range(2))   # the second time statements are known
@pytest.mark.parametrize("at", range(len(ANY)))
def test_a_name_is_what_it_is_for_postgres(pg, proxy, at, turn):
    assert conversation(proxy.url(), ANY[at]) == conversation(pg.url(), ANY[at])


@pytest.mark.parametrize("at", range(len(PINNED)))
def test_a_name_that_sql_has_given_is_there_for_messages(pg, at):
    with Proxy(pg, origin_connection_limit=1, local={"session_features": "pin"}) as p:
        assert conversation(p.url(), PINNED[at]) == conversation(pg.url(), PINNED[at])
