"""Messages, transactions and sessions that stop in the middle: nobody else gets their rest, and nothing is held for ever."""

import threading
import time

import pytest

from support.chaos import ChaosRelay
from support.pgwire import (FLUSH, SYNC, Closed, Connection, bind, copy_data, data_row, describe, error_fields, execute, parse,
                            query)
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def pg():
    with Postgres() as server:
        server.psql("create table ct (x int); create table shaped (a int); insert into shaped values (1)",
                    user=server.user, database=server.database)
        yield server


@pytest.fixture(scope="module")
def proxy(pg):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1}) as p:
        yield p


def rows(messages):
    return [data_row(body) for kind, body in messages if kind == "D"]


def codes(messages):
    return [error_fields(body)["C"] for kind, body in messages if kind == "E"]


def select(value):
    return parse("", f"select {value}") + bind("", "") + execute()


def copying(c):
    c.send(query("copy ct from stdin"))
    c.until("G")


def test_the_rest_of_copy_data_is_not_cut_off_by_the_end_of_its_copy(proxy):
    with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
        copying(a)
        big = copy_data(b"1\n" * 60000)
        a.send(copy_data(b"bad\n") + big[:40000])
        assert codes(a.until_ready()) == ["22P02"]
        b.send(query("select 'b'"))
        assert b.silent(0.3)  # the connection still waits for the message's rest
        a.send(big[40000:])
        assert rows(b.until_ready()) == [[b"b"]]
        assert a.value("select 'a'") == "a"


def test_nobody_gets_the_rest_of_a_bind_that_broke_a_copy(proxy):
    with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
        copying(a)
        a.send(bind("", "", [b"x" * 60000])[:40000])
        a.until("E")
        b.send(query("select 'b'"))
        a.close()
        assert rows(b.until_ready()) == [[b"b"]]


def halves(message):
    return message[:40000], message[40000:]


def test_the_rest_of_a_bind_that_is_refused_goes_nowhere(proxy):
    with Connection.open(proxy.url()) as c:
        first, rest = halves(bind("", "hyperdrive_999", [b"x" * 60000]))
        c.send(first)
        wait_for(lambda: proxy.stats()["origin_connections"], what="a connection")
        c.send(rest + execute() + SYNC)
        assert codes(c.until_ready()) == ["26000"]
        assert c.value("select 'alive'") == "alive"


def test_the_rest_of_a_bind_whose_statement_has_changed_goes_nowhere(pg, proxy):
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as other:
        c.send(parse("s", "select * from shaped where length($1::text) > 0") + describe("S", "s") + SYNC)
        c.until_ready()
        other.query("alter table shaped add b int")
        first, rest = halves(bind("", "s", [b"x" * 60000]))
        c.send(first)
        c.send(rest + execute() + SYNC)
        assert codes(c.until_ready()) == ["0A000"]
        assert c.value("select 'alive'") == "alive"


def test_a_large_bind_may_come_in_any_pieces(proxy):
    with Connection.open(proxy.url()) as c:
        c.send(parse("longish", "select length($1::text)") + SYNC)
        c.until_ready()
        whole = bind("", "longish", [b"x" * 60000])
        for cut in (5, 6, 9, 14, 200):
            c.send(whole[:cut])
            assert c.silent(0.1)
            c.send(whole[cut:] + execute() + SYNC)
            assert rows(c.until_ready()) == [[b"60000"]]


def test_an_origin_lost_in_the_middle_of_a_row_leaves_no_words_in_it(pg):
    with ChaosRelay(pg.port) as relay, Proxy(pg, port=relay.port, origin_connection_limit=1, local={"workers": 1}) as proxy:
        with Connection.open(proxy.url()) as c:
            assert c.value("select 1") == "1"
            relay.half_close_after = 200_000
            c.send(query("select repeat('a', 1000000)"))
            c.until("T")
            with pytest.raises(Closed):
                c.receive()
            assert len(c.buffer) > 100_000 and set(c.buffer[11:]) == set(b"a")
