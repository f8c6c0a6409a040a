"""What is answered does not depend on whether the origin's answers or the client's next messages come first.

Each conversation is held with Postgres itself, then with the proxy in several orders of arrival; the end of each is a
Query whose answer shows that nothing hangs and nothing was answered once too often.
"""

import itertools
import struct
import threading
import time

import pytest
from support.differential.arrivals import Order, Relay
from support.differential.sides import in_one_order, normalise
from support.pgwire import (COPY_DONE, FLUSH, SYNC, Closed, Connection, bind, copy_data, copy_fail, execute, function_call,
                            parse, query)
from support.postgres import Postgres
from support.proxy import Proxy

END = "the end of it"
ORDERS = [Order("as it comes"), Order("answers late", late=.03), Order("message by message", pause=.005)]


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table t (k int, v text); create table u (k int, v text); create sequence numbers")
        yield pg


@pytest.fixture(scope="module")
def relay(pg):
    with Relay(pg.port) as relay:
        yield relay


@pytest.fixture(scope="module", params=["hyperdrive", "pin"])
def proxy(pg, relay, request):
    with Proxy(pg, port=relay.port, origin_connection_limit=1, local={"session_features": request.param}) as p:
        yield p


def messages(data):
    at = 0
    while at < len(data):
        end = at + 1 + struct.unpack_from("!I", data, at + 1)[0]
        yield data[at:end]
        at = end


def held(url, data, pause=0.0):
    """All answers, up to that to END."""
    with Connection.open(url, application_name="same") as c:
        def send():
            try:
                for message in messages(data) if pause else [data]:
                    c.send(message)
                    time.sleep(pause)
            except OSError:
                pass   # it was thrown out before it had said all
        sender, heard = threading.Thread(target=send), []
        sender.start()
        try:
            while not (heard and heard[-1][0] == "Z" and any(kind == "D" and END.encode() in body for kind, body in heard[-3:-1])):
                heard.append(normalise(*c.receive()))
        except (Closed, OSError) as error:
            heard.append(("!", type(error).__name__ if isinstance(error, TimeoutError) else "closed"))
        sender.join()
        return in_one_order(heard)


def alike(pg, proxy, relay, data, orders=ORDERS):
    data += query(f"select '{END}'")
    expected = held(pg.url(), data)
    for order in orders:
        relay.order = order
        try:
            assert held(proxy.url(), data, order.pause) == expected, order
        finally:
            relay.order = ORDERS[0]


def run(sql, name=""):
    return parse(name, sql) + bind("", name) + execute()


def rows(*keys):
    return b"".join(copy_data(b"%d\tcopied\n" % key) for key in keys)


S, BAD = SYNC, copy_data(b"not a row\n")
COPY, TWO = "copy t from stdin", query("copy t from stdin; copy u from stdin")
COPIES = {
    "two COPYs in a Query, a Sync between": TWO + rows(1) + COPY_DONE + S + rows(2) + COPY_DONE + query("select 1"),
    "two COPYs in a Query, Syncs everywhere": TWO + S + rows(1) + S + COPY_DONE + S + S + rows(2) + S + COPY_DONE + S,
    "three COPYs in a Query": query("copy t from stdin; copy u from stdin; copy t from stdin") + b"".join(
        rows(k) + COPY_DONE + S for k in range(3)),
    "two COPYs in a Query, the first with bad data": TWO + BAD + S + rows(1) + COPY_DONE + S + rows(2) + COPY_DONE + S,
    "two COPYs in a Query, the second with bad data": TWO + rows(1) + COPY_DONE + S + BAD + S + rows(2) + COPY_DONE + S,
    "two COPYs in a Query, the first cannot begin": query("copy missing from stdin; " + COPY) + rows(1) + S + COPY_DONE + S + rows(2) + COPY_DONE + S,
    "two COPYs in a Query, the first ended by CopyFail": TWO + rows(1) + copy_fail("no") + S + rows(2) + COPY_DONE + S,
    "more in the group": run(COPY) + rows(1) + COPY_DONE + run("select 7") + S,
    "a Sync in the data, more in the group": run(COPY) + rows(1) + S + COPY_DONE + run("select 7") + S,
    "bad data, a Sync, more in the group": run(COPY) + BAD + S + COPY_DONE + run("select 7") + S,
    "a Sync, bad data, more in the group": run(COPY) + S + BAD + COPY_DONE + run("select 7") + S,
    "Syncs about bad data, more in groups": run(COPY) + rows(1) + S + BAD + S + rows(2) + S + COPY_DONE + run("select 8", "n") + S + run("select 9") + S,
    "a Sync, CopyFail, more in the group": run(COPY) + S + rows(1) + copy_fail("no") + run("select 7") + S,
    "a COPY that cannot begin": run("copy missing from stdin") + S + rows(1) + COPY_DONE + run("select 7") + S,
    "two COPYs in a group": run(COPY) + S + rows(1) + COPY_DONE + run(COPY) + S + rows(2) + COPY_DONE + S,
    "two COPYs in a group, the second with bad data": run(COPY) + S + rows(1) + COPY_DONE + run(COPY) + rows(2) + S + BAD + S + COPY_DONE + run("select 7") + S,
    "Flushes": run(COPY) + FLUSH + S + FLUSH + rows(1) + FLUSH + COPY_DONE + FLUSH + run("select 7") + S,
    "bad data, a Sync, a large message": query(COPY) + BAD + S + copy_data(b"7\t" + b"z" * 200_000 + b"\n") + S + COPY_DONE + S,
    "bad data, a Sync, a large message, more": run(COPY) + BAD + S + copy_data(b"7\t" + b"z" * 200_000 + b"\n") + S + COPY_DONE + run("select 5") + S,
    "in a transaction": query("begin") + run(COPY) + S + BAD + S + COPY_DONE + run("select 5") + S + query("rollback"),
    "a text that only mentions COPYs": query("comment on table t is 'copy copy copy'") + S + S + query("select 1") + COPY_DONE + S + run("select 2") + S,
}


@pytest.mark.parametrize("conversation", COPIES)
def test_messages_about_the_data_of_a_copy(pg, proxy, relay, conversation):
    alike(pg, proxy, relay, COPIES[conversation])


def test_a_large_message_in_slices_while_the_copy_has_failed(pg, proxy, relay):
    """The error comes when the half of the message has been passed on."""
    large = copy_data(b"7\t" + b"z" * 200_000 + b"\n")
    with Connection.open(proxy.url()) as c:
        c.send(query(COPY))
        assert c.receive()[0] == "G"
        c.send(BAD + S + large[:100_000])
        assert c.receive()[0] == "E"
        assert c.receive() == ("Z", b"I")
        c.send(large[100_000:] + S + query("select 'alive'"))
        assert [kind for kind, _ in c.until_ready() + c.until_ready() + c.until_ready()] == ["Z", "Z", "T", "D", "C", "Z"]


def test_a_copy_is_answered_before_its_sync_or_flush_comes(proxy):
    with Connection.open(proxy.url()) as c:
        for name in ("", "copying"):
            c.send(run(COPY, name))
            assert [kind for kind, _ in c.until("G")] == ["1", "2", "G"]
            c.send(rows(1), COPY_DONE, SYNC)
            assert [kind for kind, _ in c.until_ready()] == ["C", "Z"]
        c.send(bind("p", "copying"), execute("p"))
        assert [kind for kind, _ in c.until("G")] == ["2", "G"]
        c.send(rows(1), COPY_DONE, SYNC)
        assert [kind for kind, _ in c.until_ready()] == ["C", "Z"]


LASTVAL = {
    "Queries": query("select 1") + query("select lastval()"),
    "a group": run("select 1") + run("select lastval()") + S,
    "groups": run("select 1") + S + run("select lastval()") + S + run("select currval('numbers')", "c") + S,
    "in a transaction": query("begin") + query("select lastval()") + query("rollback"),
    "in a transaction's group": query("begin") + run("select 1") + run("select lastval()") + S + query("rollback"),
    "behind a failed one": query("begin") + query("select 1/0") + query("rollback") + query("select lastval()"),
    "by a FunctionCall": function_call(2559, []),
    "by a FunctionCall behind a Query": query("select 1") + function_call(2559, []) + S,
    "with one's own": query("select 1") + query("select lastval()") + query("select nextval('numbers') > 0") + query("select lastval() > 0"),
}


@pytest.mark.parametrize("conversation", LASTVAL)
def test_a_pipeline_is_not_told_what_another_session_has_drawn(pg, proxy, relay, conversation):
    for order in ORDERS:
        with Connection.open(proxy.url()) as other:
            other.query("select nextval('numbers')")
        alike(pg, proxy, relay, LASTVAL[conversation], [order])


@pytest.mark.parametrize("write", ["update t set v = v", "begin; select 1; commit"])
@pytest.mark.parametrize("extended", [False, True])
def test_a_write_that_draws_nothing_does_not_make_another_sessions_number_ones_own(proxy, write, extended):
    if extended and ";" in write:
        pytest.skip("one statement a Parse")
    with Connection.open(proxy.url()) as other, Connection.open(proxy.url()) as c:
        for _ in range(2):
            c.send(query("select lastval()"))
            assert [kind for kind, _ in c.until_ready()][-2:] == ["E", "Z"]
            other.query("select nextval('numbers')")
            c.send(run(write) + S if extended else query(write))
            assert "E" not in [kind for kind, _ in c.until_ready()]


def test_what_only_a_transaction_may_do_is_refused_behind_one(pg, relay):
    sent = query("begin") + query("select 1") + query("commit") + query("create temp table behind (a int)") + query(f"select '{END}'")
    with Proxy(pg, port=relay.port, origin_connection_limit=1) as proxy:
        answers = []
        for order in ORDERS:
            relay.order = order
            answers.append(held(proxy.url(), sent, order.pause))
            relay.order = ORDERS[0]
    assert all(a == b for a, b in itertools.pairwise(answers))
    assert [dict(fields)["C"] for kind, fields in answers[0] if kind == "E"] == ["58000"]
