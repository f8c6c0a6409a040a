"""Messages, transactions and sessions that stop in the middle: nobody else gets their rest, and nothing is held for ever."""

import signal
import socket
import struct
import threading
import time

import pytest

from support.chaos import ChaosRelay
from support.pgwire import (COPY_DONE, FLUSH, SYNC, TERMINATE, Closed, Connection, bind, copy_data, data_row, describe, error_fields,
                            execute, message, parse, query)
from support.ports import PATIENCE, wait_for
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


# --- settings ------------------------------------------------------------------------------------

def test_nothing_runs_under_settings_that_the_origin_does_not_take_any_more(pg):
    pg.psql("create text search configuration gone (copy = simple); create table ran (x int)", user=pg.user, database=pg.database)
    with Proxy(pg, origin_connection_limit=2, local={"workers": 1}) as proxy:
        with Connection.open(proxy.url(), default_text_search_config="gone") as c:
            c.query("select 1")
        with Connection.open(proxy.url()) as c:
            c.query("select 1")
        pg.psql("drop text search configuration gone", user=pg.user, database=pg.database)
        with Connection.open(proxy.url(), default_text_search_config="gone") as c:
            c.send(query("insert into ran values (1)"))
            assert codes(c.until("E")) == ["22023"]
            with pytest.raises(Closed):
                c.receive()
        with Connection.open(proxy.url()) as c:
            assert c.value("select count(*) from ran") == "0"


# --- clients that do not read --------------------------------------------------------------------

def flood(c, piece, most):
    """Sends until the other side takes no more."""
    sent = 0
    c.socket.settimeout(1)
    try:
        while sent < most:
            sent += c.socket.send(piece)
    except TimeoutError:
        pass
    c.socket.settimeout(30 * PATIENCE)
    return sent


@pytest.mark.parametrize("prelude", ["", "begin"])
def test_syncs_of_a_client_that_does_not_read_pile_up_nowhere(proxy, prelude):
    with Connection.open(proxy.url()) as c:
        if prelude:
            c.query(prelude)
        before = proxy.rss_kb()
        sent = flood(c, SYNC * 20000, 200_000_000)
        assert sent < 200_000_000 and proxy.rss_kb() - before < 40_000
        got = 0
        while got < sent // 5 * 6:
            got += len(c.socket.recv(1 << 20))
        if sent % 5:
            c.send(SYNC[sent % 5:])
            c.until_ready()
        assert c.value("select 'alive'") == "alive"


def test_cached_answers_that_nobody_reads_pile_up_nowhere(pg):
    with Proxy(pg, origin_connection_limit=2, caching={"disabled": False}, local={"workers": 1}) as proxy:
        with Connection.open(proxy.url()) as c:
            c.query("create table if not exists wide as select n, repeat('x', 1000) v from generate_series(1, 1000) n")
            wait_for(lambda: c.query("select * from wide") and proxy.stats()["cache"]["hit"], what="a cached answer")
            before, count = proxy.rss_kb(), 200
            c.send(query("select * from wide") * count)
            c.until("Z")
            assert proxy.rss_kb() - before < 60_000
            for _ in range(count - 1):
                c.until_ready()
            assert c.value("select 'alive'") == "alive"


# --- leases without an end -----------------------------------------------------------------------

SILENCES = {
    "a copy": lambda c: copying(c),
    "a pipeline that has run": lambda c: (c.send(select(1) + FLUSH), c.until("C")),
    "a pipeline that has described": lambda c: (c.send(parse("", "select 1") + describe("S", "") + FLUSH), c.until("T")),
    "an error": lambda c: (c.send(parse("", "selec 1") + FLUSH), c.until("E")),
    "half a message": lambda c: (copying(c), c.send(copy_data(b"bad\n") + copy_data(b"1\n" * 60000)[:40000]), c.until_ready()),
}


@pytest.fixture(scope="module")
def impatient(pg):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1, "transaction_idle_timeout": "1s", "query_timeout": "1s"}) as p:
        yield p


@pytest.mark.parametrize("silence", SILENCES)
def test_a_client_that_falls_silent_in_the_middle_loses_its_connection(impatient, silence):
    with Connection.open(impatient.url()) as a, Connection.open(impatient.url()) as b:
        SILENCES[silence](a)
        assert b.value("select 'b'") == "b"
        assert codes(a.until("E")) == ["25P03"]
        with pytest.raises(Closed):
            a.receive()


def test_a_copy_longer_than_a_query_may_be_is_not_late_at_its_end(impatient):
    with Connection.open(impatient.url()) as c:
        copying(c)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            c.send(copy_data(b"1\n"))
            assert c.silent(0.05)
        c.send(COPY_DONE)
        assert [kind for kind, _ in c.until_ready()] == ["C", "Z"]


def test_a_query_behind_an_open_pipeline_ends_its_lease(proxy):
    with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
        a.send(parse("", "select 1") + describe("S", "") + FLUSH)
        a.until("T")
        assert a.value("select 'a'") == "a"
        assert b.value("select 'b'") == "b"


# --- waiting -------------------------------------------------------------------------------------

@pytest.mark.parametrize("sent", [query("select 1"), select(1) + SYNC], ids=["query", "pipeline"])
def test_a_statement_that_waits_for_a_connection_can_be_cancelled(proxy, sent):
    with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
        a.query("begin")
        b.send(sent)
        wait_for(lambda: proxy.stats()["waiting"] == 1, what="the wait")
        b.cancel()
        assert codes(b.until_ready()) == ["57014"]
        a.query("commit")
        assert b.value("select 'alive'") == "alive"


def test_a_group_that_got_no_connection_has_no_part_in_the_next_answer(pg):
    with Proxy(pg, origin_connection_limit=1, caching={"disabled": False}, local={"workers": 1, "wait_timeout": "1s"}) as proxy:
        with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
            a.query("select count(*) from shaped")
            wait_for(lambda: a.query("select 1 from shaped") and proxy.stats()["cache"]["hit"], what="a cached answer")
            a.query("begin")
            b.send(query("select 'right' from shaped"))
            assert codes(b.until_ready()) == ["53300"]
            a.query("commit")
            assert b.value("select case when random() < 2 then 'wrong' end") == "wrong"
            assert b.value("select 'right' from shaped") == "right"
            assert a.value("select 'right' from shaped") == "right"


def test_a_drain_refuses_who_waits_to_log_in(pg):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1, "drain_timeout": "30s"}) as proxy:
        heard = []

        def log_in():
            try:
                Connection.open(proxy.url(), lc_monetary="C").close()
            except Exception as error:  # noqa: BLE001
                heard.append(str(error))
        with Connection.open(proxy.url()) as a:
            a.query("begin")
            login = threading.Thread(target=log_in)
            login.start()
            wait_for(lambda: proxy.stats()["waiting"] == 1, what="the login's wait")
            proxy.process.send_signal(signal.SIGTERM)
            login.join(20 * PATIENCE)
            assert heard and "shutting down" in heard[0]
            a.query("commit")
            assert codes(a.until("E")) == ["57P01"]
            proxy.process.wait(20 * PATIENCE)


def test_a_drain_answers_who_waits_for_anothers_answer(pg):
    slow = "select count(*), sum(x.a::numeric * y.a) from slow x join slow y using (a)"
    pg.psql("create table slow as select generate_series(1, 1500000) a", user=pg.user, database=pg.database)
    with Proxy(pg, origin_connection_limit=3, caching={"disabled": False}, local={"workers": 1, "drain_timeout": "60s"}) as proxy:
        with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b, Connection.open(proxy.url()) as last:
            wait_for(lambda: a.query("select 1 from shaped") and proxy.stats()["cache"]["hit"], what="a cached answer")
            a.send(query(slow))
            b.send(query(slow))
            last.query("select 1 from shaped")  # what came to the worker before this has been read
            proxy.process.send_signal(signal.SIGTERM)
            for c in (a, b):
                assert [kind for kind, _ in c.until("Z", "E")] == ["T", "D", "C", "Z"]
                assert codes(c.until("E")) == ["57P01"]
            proxy.process.wait(20 * PATIENCE)


# --- ends of one side ----------------------------------------------------------------------------

@pytest.mark.parametrize("sql", ["select pg_sleep(0.3)", "select repeat('x', 1000) from generate_series(1, 2000)"])
def test_a_client_that_ends_its_own_side_gets_its_answer(proxy, sql):
    with Connection.open(proxy.url()) as c:
        c.send(query(sql))
        c.socket.shutdown(socket.SHUT_WR)
        assert c.until_ready()[-2][0] == "C"
        with pytest.raises(Closed):
            c.receive()


def test_a_client_that_is_gone_altogether_keeps_its_connection_no_longer_than_its_answer(proxy):
    with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
        a.send(query("select repeat('x', 1000) from generate_series(1, 1000000)"))
        a.until("T")
        a.close()
        assert b.value("select 'b'") == "b"


def test_a_query_whose_client_has_taken_its_leave_gives_its_place_back_soon(proxy):
    a = Connection.open(proxy.url())
    a.send(query("select pg_sleep(50)") + TERMINATE)
    a.socket.close()
    with Connection.open(proxy.url()) as b:
        assert b.value("select 'b'") == "b"  # well before its time in the queue is over


@pytest.mark.parametrize("sent", [query("select pg_sleep(50)"), query("begin")], ids=["running", "in a transaction"])
def test_who_has_not_left_when_a_drain_is_over_is_told_so(pg, sent):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1, "drain_timeout": "1s"}) as proxy, Connection.open(proxy.url()) as c:
        c.send(sent)
        wait_for(lambda: proxy.stats()["idle"] == 0, what="the statement runs")
        proxy.process.send_signal(signal.SIGTERM)
        assert codes(c.until("E")) == ["57P01"]
        with pytest.raises(Closed):
            c.receive()
        proxy.process.wait(20 * PATIENCE)
    wait_for(lambda: nobody_sleeps(pg), 10, "nothing goes on for who was cut off")


def nobody_sleeps(pg) -> bool:
    return pg.psql("select count(*) from pg_stat_activity where query = 'select pg_sleep(50)' and state = 'active'").strip() == "0"


def test_what_runs_for_who_has_left_ends_with_the_drain(pg):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1, "drain_timeout": "1s"}) as proxy:
        c = Connection.open(proxy.url())
        c.send(query("begin"))
        c.until_ready()
        c.send(query("select pg_sleep(50)"))
        wait_for(lambda: not nobody_sleeps(pg), what="the statement runs")
        c.close()
    wait_for(lambda: nobody_sleeps(pg), 10, "nothing goes on")


def test_a_drain_lets_end_what_somebody_sent_and_left(pg):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1}) as proxy:
        c = Connection.open(proxy.url())
        c.send(query("insert into ct select 77 from pg_sleep(2)"))
        wait_for(lambda: proxy.stats()["idle"] == 0, what="the statement runs")
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.socket.close()  # with a reset: nobody will hear the answer
        wait_for(lambda: proxy.stats()["clients"] == 0 and proxy.stats()["idle"] == 0, what="the client has left")
    assert pg.psql("select count(*) from ct where x = 77").strip() == "1"


@pytest.mark.parametrize("attempt", range(5))
def test_an_answer_under_way_when_a_drain_begins_comes_whole(pg, attempt):
    with Proxy(pg, origin_connection_limit=1) as proxy, Connection.open(proxy.url()) as c:
        c.send(query("select repeat('x', 1000) from generate_series(1, 50000)"))
        c.until("D")
        proxy.process.send_signal(signal.SIGTERM)
        heard = c.until("E")
        assert len(rows(heard)) == 49999 and codes(heard) == ["57P01"]
        proxy.process.wait(20 * PATIENCE)


def test_a_drain_waits_for_the_end_of_a_folded_begin(pg):
    with Proxy(pg, origin_connection_limit=1, local={"workers": 1, "drain_timeout": "30s", "fold_begin": True}) as proxy:
        with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as idle:
            c.query("begin")
            proxy.process.send_signal(signal.SIGTERM)
            assert codes(idle.until("E")) == ["57P01"]
            assert c.value("select 1") == "1"
            c.query("commit")
            assert codes(c.until("E")) == ["57P01"]
            proxy.process.wait(20 * PATIENCE)


# --- what cannot be read -------------------------------------------------------------------------

@pytest.mark.parametrize("broken, ends", [
    (message(b"D", b"Xfoo\0") + SYNC, 1), (message(b"B", b"xx") + SYNC, 1), (message(b"Q", b"select 1") + SYNC, 2),
    (message(b"P", b"\0select 1\0\0\0junk") + SYNC, 1), (message(b"E", b"\0\0") + SYNC, 1), (message(b"C", b"S") + SYNC, 1)])
def test_a_malformed_message_is_an_error_like_any_other(pg, proxy, broken, ends):
    for url in (pg.url(), proxy.url()):
        with Connection.open(url) as c:
            c.send(broken)
            heard = [m for _ in range(ends) for m in c.until_ready()]
            assert codes(heard) == ["08P01"] and c.value("select 'alive'") == "alive"
