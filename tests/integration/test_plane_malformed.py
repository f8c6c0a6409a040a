"""Messages with a body too long, too short or without its ends: answered as by Postgres, message by message, wherever they come, and
the session goes on, or ends, as there."""

import pytest

from support.differential.sides import normalise
from support.pgwire import COPY_DONE, SYNC, Closed, Connection, bind, copy_data, execute, message, parse, query
from support.postgres import Postgres
from support.proxy import Proxy

RUN = parse("", "select 'a'") + bind("", "") + execute()
BODIES = {
    b"P": [b"", b"\0", b"x", b"\0select 1", b"\0select 1\0", b"\0select 1\0\0\1", b"\0select 1\0\0\0x", b"\0rollback\0\0\0x", b"\0select 1\0\xff\xff"],
    b"B": [b"", b"\0", b"xx", b"\0\0\0", b"\0\0\0\0\0\1\0\0\0\5ab\0\0", b"\0\0\0\0\0\1\x80\0\0\0\0\0", b"\0\0\0\0\0\0\0\0x", b"x\0y\0"],
    b"D": [b"", b"S", b"S\0x", b"X\0", b"X", b"Xy\0z"], b"C": [b"", b"S", b"S\0x", b"X\0", b"X", b"Xy\0z"],
    b"E": [b"", b"\0", b"\0\0\0\0\0x", b"x\0\0\0"],
    b"Q": [b"", b"select 1", b"select 1\0x", b"rollback\0x", b"discard all\0\0"],
    b"S": [b"x", b"\0\0\0\0"], b"H": [b"x", b"\0\0\0\0"],
    b"F": [b"", b"\0\0\0\xb1", b"\0\0\0\xb1\0\0\0\2\0\0\0\0011\0\0\0\5", b"\0\0\0\xb1\0\0\0\2\0\0\0\0011\0\0\0\0012\0\0x"],
    b"p": [b"", b"x\0"],
}
CONTEXTS = {
    "alone": (b"", b""),
    "in a transaction": (query("begin") + query("insert into t values (1)"), SYNC + query("commit") + query("select count(*) from t")),
    "in a failed one": (query("begin") + query("select 1 / 0"), SYNC + query("rollback")),
    "in a pipeline": (RUN, RUN + SYNC),
    "behind a write": (parse("", "insert into t values (2)") + bind("", "") + execute(), SYNC + query("select count(*) from t")),
    "behind an error": (parse("", "selec"), RUN),
    "between queries": (query("select 1"), query("select 2") + bind("", "") + execute() + SYNC),
    "behind a prepared statement": (parse("", "select 'kept'") + SYNC, bind("", "") + execute() + SYNC),
}


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table t (x int); grant all on t to public")
        yield pg


@pytest.fixture(scope="module")
def emptied(pg):
    with Connection.open(pg.url(), timeout=10) as c:
        def empty():
            c.send(query("truncate t"))
            assert [kind for kind, _ in c.until("Z")] == ["C", "Z"]
        yield empty


@pytest.fixture(scope="module", params=["hyperdrive", "pin, cached, folded"])
def proxy(pg, request):
    more = request.param != "hyperdrive"
    with Proxy(pg, origin_connection_limit=1 + more, caching={"disabled": not more},
               local={"session_features": "pin" if more else "hyperdrive", "invalidation": "writes", "fold_begin": more}) as p:
        yield p


def conversation(url, sent):
    """All that is said up to a marker, or the connection's end."""
    with Connection.open(url, timeout=10) as c:
        c.send(sent + SYNC + query("select 'the end'"))
        heard, ends = [], False
        try:
            while not ends or heard[-1][0] != "Z":
                kind, body = c.receive()
                ends = ends or (kind == "D" and body.endswith(b"the end"))
                heard.append(normalise(kind, body))
        except (Closed, OSError) as error:
            heard.append(type(error).__name__)
        return heard


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.decode())
def test_it_is_answered_as_by_postgres(pg, proxy, emptied, kind, context):
    before, behind = CONTEXTS[context]
    for body in BODIES[kind]:
        sent = before + message(kind, body) + behind
        emptied()
        expected = conversation(pg.url(), sent)
        emptied()
        assert conversation(proxy.url(), sent) == expected, body


@pytest.mark.parametrize("copy", [query("copy t from stdin"), parse("", "copy t from stdin") + bind("", "") + execute() + message(b"H")],
                         ids=["simple", "extended"])
@pytest.mark.parametrize("body", [b"", b"x"])
@pytest.mark.parametrize("kind", b"p y S H D X".split())
def test_within_a_copy_it_ends_what_it_ends_in_postgres_and_nobody_waits_for_it(pg, proxy, emptied, kind, body, copy):
    def said(url):
        with Connection.open(url, timeout=10) as c:
            c.send(copy)
            c.until("G")
            c.send(copy_data(b"1\n") + message(kind, body))
            if kind in b"S H":
                c.send(COPY_DONE + SYNC)
            elif kind != b"y":
                c.send(SYNC)
            heard = []
            try:
                while not heard or heard[-1][0] != "Z":
                    heard.append(normalise(*c.receive()))
            except (Closed, ConnectionError):
                heard.append(("!", "ended"))
            # The last words may be the origin's or the proxy's: whoever is first.
            return [(kind, said) for kind, said in heard if kind != "E" or ("S", "ERROR") in said]
    emptied()
    expected = said(pg.url())
    emptied()
    if kind != b"X":   # its client hears nothing either way
        assert said(proxy.url()) == expected
    with Connection.open(proxy.url(), timeout=10) as c:
        assert c.value("select 'alive'") == "alive"
