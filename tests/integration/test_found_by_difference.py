"""What the model-based differential test (tests/support/differential) has found, in the shortest form that shows it.

Each conversation is also held with Postgres itself, and must be answered alike.
"""

import struct

import pytest
from support.differential.sides import normalise
from support.pgwire import (COPY_DONE, FLUSH, SYNC, TERMINATE, Closed, Connection, bind, close, copy_data, copy_fail, data_row, describe, execute,
                            message, parse, query)
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table t (k int primary key)")
        yield pg


@pytest.fixture(scope="module", params=["hyperdrive", "pin"])
def proxy(pg, request):
    with Proxy(pg, origin_connection_limit=1, local={"session_features": request.param}) as p:
        yield p


def run(sql, name="", portal=""):
    return parse(name, sql) + bind(portal, name) + execute(portal)


def talk(c, *steps):
    """Each step: what is sent in one write, and how many ReadyForQuery end its answer; -1: the end of the connection."""
    heard = []
    for sent, ends in steps:
        c.send(sent)
        while ends != 0:
            try:
                kind, body = c.receive()
            except Closed:
                assert ends < 0
                return [*heard, "closed"]
            heard.append(normalise(kind, body))
            ends -= kind == "Z" and ends > 0
    return heard


def alike(pg, proxy, *steps, **startup):
    startup = {"application_name": "same"} | startup
    with Connection.open(pg.url(), **startup) as direct, Connection.open(proxy.url(), **startup) as proxied:
        got = talk(proxied, *steps)
        pg.psql("truncate t")
        assert got == talk(direct, *steps)
        pg.psql("truncate t")
    return got


@pytest.mark.parametrize("last", [TERMINATE, message(b"y")], ids=["Terminate", "no message type at all"])
def test_who_has_said_all_hears_the_answers_to_what_was_before(pg, proxy, last):
    work = query("insert into t values (1)") + run("select pg_sleep(0.05)") + SYNC + query("select repeat('x', 300000)")
    got = alike(pg, proxy, (work + last, -1))
    assert ("C", b"INSERT 0 1\0") in got and got[-1] == "closed"


@pytest.mark.parametrize("sql", ["discard all", "reset all", "deallocate all", "set timezone to 'Asia/Tokyo'"])
def test_who_leaves_behind_a_reset_without_sync_takes_nothing_from_the_next(proxy, sql):
    startup = {"TimeZone": "Asia/Kolkata", "application_name": "mine"}
    with Connection.open(proxy.url(), **startup) as c:
        c.send(run("select 42", "a") + SYNC)
        c.until_ready()
        with Connection.open(proxy.url(), **startup) as leaving:
            leaving.send(run(sql) + TERMINATE)
            leaving.socket.shutdown(1)
            with pytest.raises(Closed):
                while True:
                    leaving.receive()
        c.send(bind("", "a") + execute() + SYNC)
        assert [kind for kind, _ in c.until_ready()] == ["2", "D", "C", "Z"]   # no ParameterStatus, no error
        assert c.value("show timezone") == "Asia/Kolkata" and c.value("show application_name") == "mine"


@pytest.mark.parametrize("sql", ["deallocate all", "deallocate a"])
def test_a_portal_that_has_run_a_deallocate_does_not_run_it_again(pg, proxy, sql):
    alike(pg, proxy, (query("prepare sa as select 1") if "pin" in proxy.document["config"]["local"]["session_features"] else SYNC, 1),
          (run("select 1", "a") + SYNC + run(sql) + execute() + SYNC + run("select 2", "a") + SYNC, 3))


def test_a_portal_of_a_segment_that_has_ended_is_gone_for_a_deallocate_too(pg, proxy):
    alike(pg, proxy, (run("deallocate a") + SYNC + parse("a", "select 1") + execute() + SYNC + run("select 2", "a") + SYNC, 3),
          (run("deallocate b") + SYNC + parse("b", "select 1") + execute() + FLUSH + SYNC, 2))


def test_a_portal_that_was_closed_runs_no_deallocate(pg, proxy):
    bound = parse("", "deallocate all") + bind("", "") + close("P", "") + execute() + SYNC
    alike(pg, proxy, (bound + bound.replace(close("P", ""), b""), 2))


@pytest.mark.parametrize("ending", ["rollback", "rollback to s"])
def test_a_deallocate_behind_the_end_of_a_failed_transaction_in_its_segment_happens(pg, proxy, ending):
    alike(pg, proxy, (parse("a", "select 1") + SYNC + query("begin; savepoint s") + query("select 1/0"), 3),
          (run(ending) + run("deallocate all") + SYNC, 1), (run("select 1", "b") + SYNC, 1), (parse("a", "select 2") + SYNC, 1))


@pytest.mark.parametrize("asked", [bind("", "hyperdrive_1"), describe("S", "hyperdrive_1")], ids=["Bind", "Describe"])
def test_an_unknown_name_that_looks_like_the_proxys_own_is_unknown_in_a_failed_transaction(pg, proxy, asked):
    got = alike(pg, proxy, (query("begin") + query("select 1/0") + asked + SYNC, 3))
    assert ("M", 'prepared statement "hyperdrive_1" does not exist') in got[-2][1]


@pytest.mark.parametrize("broken", [describe("?"), close("?")], ids=["Describe", "Close"])
def test_a_describe_or_close_of_nothing_there_is_named(pg, proxy, broken):
    alike(pg, proxy, (broken + SYNC, 1), (query("begin") + query("select 1/0") + broken + SYNC, 3))


SHOWN = run("select current_setting('timezone'), current_setting('search_path'), '2020-02-29'::date")
RESETS = {
    "reset all, then a question": (run("reset all") + SHOWN + SYNC, 1),
    "discard all, then a question": (run("discard all") + SHOWN + SYNC, 1),
    "reset of one, in Queries": (query("reset timezone") + query("show timezone") + query("reset datestyle") + query("show datestyle"), 4),
    "discard all, then a transaction": (
        run("discard all") + run("start transaction isolation level serializable") + SHOWN + SYNC + query("rollback") + SHOWN + SYNC, 3),
    "reset all that an error takes back": (run("reset all") + run("selec") + SYNC + SHOWN + SYNC, 2),
    "discard all before an error": (run("discard all") + SHOWN + run("selec") + SYNC + SHOWN + SYNC, 2),
    "in a transaction that is rolled back": (query("begin") + run("reset all") + SHOWN + SYNC + query("rollback") + SHOWN + SYNC, 4),
    "in one that goes on": (query("begin") + run("reset all") + SYNC + SHOWN + SYNC + query("commit") + SHOWN + SYNC, 5)}


@pytest.mark.parametrize("sent", RESETS.values(), ids=RESETS)
def test_a_reset_in_a_pipeline_goes_back_to_what_the_session_began_with(pg, proxy, sent):
    startup = {"TimeZone": "Asia/Kolkata", "DateStyle": "SQL, DMY", "search_path": "public, pg_catalog"}
    alike(pg, proxy, sent, (SHOWN + SYNC, 1), **startup)


def test_what_is_behind_a_copy_that_fails_is_answered_behind_it(pg, proxy):
    start = parse("c", "copy t from stdin") + bind("", "c") + execute() + SYNC
    data = copy_data(b"1\n") + copy_fail("no more") + SYNC
    behind = close("S", "nothing") * 2 + SYNC + close("S", "c") + SYNC
    for _ in range(3):
        alike(pg, proxy, (start + data + behind, 3), (start, 0), (data + behind, 3), (query("select 1"), 1))


@pytest.mark.parametrize("sync", [SYNC, b""], ids=["with a Sync before the data", "without one"])
def test_a_copy_behind_a_begin_that_is_sent_with_it_waits_for_nothing(pg, sync):
    copy = parse("c", "copy t from stdin") + bind("", "c") + execute() + sync + copy_data(b"1\n") + COPY_DONE + SYNC
    with Proxy(pg, origin_connection_limit=1, local={"fold_begin": True}) as p:
        got = alike(pg, p, (query("begin"), 1), (copy + query("commit"), 2), (run("select k from t") + SYNC, 1))
    assert ("C", b"COPY 1\0") in got


@pytest.mark.parametrize("ending", [TERMINATE, FLUSH + TERMINATE, b""], ids=["Terminate", "Flush, Terminate", "nothing"])
def test_work_without_a_sync_is_undone_when_its_client_leaves(pg, proxy, ending):
    with Connection.open(proxy.url()) as c:
        c.send(run("insert into t values (8)") + ending)
        ends_its_side(c)
    with Connection.open(proxy.url()) as c:   # behind it: there is one connection
        assert c.query("select k from t") == []


def test_work_sent_before_terminate_is_done_though_nobody_waits(pg, proxy):
    with Connection.open(proxy.url()) as c:
        c.send(query("insert into t values (7)") + TERMINATE)
        c.socket.close()
    wait_for(lambda: pg.psql("select k from t") == "7\n", 10, "the row is there")
    pg.psql("truncate t")


@pytest.mark.parametrize("name", ["", "s"], ids=["unnamed", "named"])
def test_a_large_bind_behind_a_reset_waits_for_what_the_session_began_with(pg, proxy, name):
    large = bind("", name, ["x" * 70000, "02.01.2020"])
    prepared = parse(name, "select left($1, 1) || extract(month from $2::date)") + SYNC
    got = alike(pg, proxy, (prepared, 1), (run("reset all", "r") + large + execute() + SYNC, 1), DateStyle="German")
    assert ("D", b"\0\1\0\0\0\x02x1") in got


def test_a_large_bind_that_fails_behind_a_reset_ends_its_segment_only(pg, proxy):
    work = run("reset all") + bind("", "", ["x" * 70000]) + execute() + SYNC + query("show datestyle")
    assert ("D", b"\0\1\0\0\0\x0bGerman, DMY") in alike(pg, proxy, (work, 2), DateStyle="German")


@pytest.mark.parametrize("end", ["commit", "rollback", "prepare transaction 'x'"])
def test_a_portal_is_gone_behind_the_end_of_its_transaction_in_the_same_segment(pg, proxy, end):
    work = parse("d", "deallocate d") + bind("p", "d") + run(end) + execute("p") + SYNC
    alike(pg, proxy, (work, 1))


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
def test_prepare_transaction_without_a_begin_commits_what_was_set(pg, proxy):
    work = run("set datestyle to 'German'") + run("prepare transaction 'x'") + run("select missing") + SYNC
    got = alike(pg, proxy, (work, 1), (query("begin") + query("show datestyle"), 2))
    assert ("C", b"ROLLBACK\0") in got


def test_a_reset_of_one_setting_leaves_what_the_transaction_has_set_of_others(pg, proxy):
    work = query("begin") + query("set local datestyle to 'SQL, MDY'") + query("reset application_name")
    got = alike(pg, proxy, (work, 3), (query("show datestyle"), 1), (query("show application_name"), 1), DateStyle="German")
    assert ("D", b"\0\1\0\0\0\x08SQL, MDY") in got


def test_a_statement_parsed_ahead_does_not_begin_the_transaction_of_its_segment(pg, proxy):
    begin = run("start transaction isolation level serializable", "b")
    heard = []
    for url in pg.url(), proxy.url():
        with Connection.open(url) as c, Connection.open(url) as other:
            heard.append(talk(c, (parse("", "table t") + SYNC, 1)))
            talk(other, (query("select 1"), 1))  # by the same connection to Postgres, whose unnamed statement goes
            heard[-1] += talk(c, (describe("S") + begin + SYNC, 1), (query("show transaction_isolation"), 1))
    assert heard[0] == heard[1]


def test_a_portal_whose_bind_was_skipped_is_not_there(pg, proxy):
    bad = parse("h", "declare h cursor with hold for select 1") + bind("p", "h") + SYNC
    alike(pg, proxy, (query("begin") + query("select 1/0") + bad, 3), (execute("p") + SYNC, 1))


def test_a_name_is_taken_though_its_statement_could_not_be_parsed_any_more(pg, proxy):
    heard = []
    for url in pg.url(), proxy.url():
        pg.psql("create table gone (k int)")
        with Connection.open(url) as c, Connection.open(url) as other:
            heard.append(talk(c, (parse("b", "select * from gone") + SYNC, 1)))
            talk(other, (query("drop table gone; deallocate all"), 1))  # proxied: on the connection that had it
            heard[-1] += talk(c, (parse("b", "select 1") + SYNC, 1), (parse("b", "select missing") + SYNC, 1))
    assert heard[0] == heard[1]


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
@pytest.mark.parametrize("first", ["", "savepoint b;"])
def test_a_released_savepoint_brings_no_setting_back(pg, proxy, first):
    begin = [query(sql) for sql in ("begin", *filter(None, [first]), "savepoint a", "set datestyle to 'German'", "savepoint a", "release a",
                                    "rollback to a", "commit", "show datestyle")]
    ends = [query(sql) for sql in ("begin", "savepoint a", "set datestyle to 'German'", "savepoint c", "release a", "commit", "show datestyle")]
    alike(pg, proxy, (b"".join(begin), len(begin)), (query("reset datestyle") + b"".join(ends), len(ends) + 1))


@pytest.mark.parametrize("name", ["", "f"], ids=["unnamed", "named"])
def test_a_fetch_takes_the_shape_of_the_cursor_that_is_there(pg, proxy, name):
    heard = []
    for url in pg.url(), proxy.url():
        with Connection.open(url) as c, Connection.open(url) as other:
            heard.append(talk(c, (parse(name, "fetch all from cur") + describe("S", name) + SYNC, 1)))
            talk(other, (query("select 1; deallocate all"), 1))  # proxied: on the connection that had it
            work = run("begin", "b") + run("declare cur cursor for select 1, 2", "c") + bind("", name) + execute() + SYNC
            heard[-1] += talk(c, (work, 1), (query("rollback"), 1))
    assert heard[0] == heard[1]


def test_an_error_of_a_bind_names_the_clients_statement_whatever_follows_in_the_pipeline(pg):
    """The bound statement is evicted behind it, and becomes another where search_path has changed."""
    others = run("set search_path to pg_catalog", "x") + b"".join(parse(f"s{i}", f"select {i}") for i in range(3))
    work = bind("", "a") + execute() + others + bind("", "a", ["1"]) + execute() + SYNC
    with Proxy(pg, origin_connection_limit=1, local={"session_features": "pin", "prepared_statements": 3}) as proxy:
        got = alike(pg, proxy, (parse("a", "select * from t where k = $1") + SYNC, 1), (work, 1))
    assert got[-2][0] == "E" and ("C", "08P01") in got[-2][1]


@pytest.mark.parametrize("steps", [
    [(run("reset all") + FLUSH, "C")],
    [(run("reset all") + execute() + FLUSH, "E")],
    [(run("discard all") + SYNC, "Z"), (run("reset all") + FLUSH, "C"), (run("select 1") + FLUSH, "C")],
], ids=["answered", "failed behind it", "another behind a Sync"])
def test_who_leaves_a_reset_without_its_sync_leaves_no_setting_to_whoever_waits(pg, steps):
    """Its transaction is rolled back, and the connection has again what the client had asked for."""
    with Proxy(pg, origin_connection_limit=1) as p, Connection.open(p.url()) as waiting, \
            Connection.open(p.url(), application_name="leaver", DateStyle="German") as leaving:
        for work, answered in steps:
            leaving.send(work)
            leaving.until(answered)
        waiting.send(query("show datestyle"))
        wait_for(lambda: p.stats()["waiting"] == 1, what="the other waits")
        leaving.socket.close()
        answer = waiting.until_ready()
        assert "S" not in [kind for kind, _ in answer]
        assert [data_row(body) for kind, body in answer if kind == "D"] == [[b"ISO, MDY"]]


def ends_its_side(c):
    """… and hears what is still said, to the end."""
    c.socket.shutdown(1)
    with pytest.raises(Closed):
        while True:
            c.receive()


UNFINISHED = {"alone": run("commit", "c"), "with more behind it": run("commit", "c") + run("select 1") + parse("", "select 2"),
              "with half a message behind it": run("commit", "c") + parse("", "select 1")[:-4],
              "with what is no message behind it": run("commit", "c") + message(b"y"),
              "behind a RESET": run("reset all", "r") + run("commit", "c")}


@pytest.mark.parametrize("unfinished", UNFINISHED.values(), ids=UNFINISHED)
@pytest.mark.parametrize("begin", [query("begin; insert into t values (9)"), run("begin") + run("insert into t values (9)"),
                                   parse("c", "select 1") + SYNC + close("S", "c") + run("begin") + run("insert into t values (9)")],
                         ids=["Query", "the same group", "behind a name that is closed"])
def test_a_commit_is_done_though_its_client_ends_without_a_sync(pg, proxy, begin, unfinished):
    """Postgres runs each message as it comes."""
    with Connection.open(proxy.url()) as c:
        c.send(begin + unfinished)
        ends_its_side(c)
    with Connection.open(proxy.url()) as c:   # behind it: there is one connection
        assert c.query("select k from t") == [[b"9"]]
    pg.psql("truncate t")


@pytest.mark.parametrize("ending", [TERMINATE, parse("s", "select 1") + TERMINATE], ids=["Terminate", "more, Terminate"])
def test_who_leaves_behind_an_unfinished_group_hears_the_answers_before_it(pg, proxy, ending):
    work = query("select pg_sleep(0.1)") + run("insert into t values (1)") + SYNC + query("insert into t values (2)")
    got = alike(pg, proxy, (work + run("insert into t values (3)") + ending, -1))
    assert got.count(("C", b"INSERT 0 1\0")) == 2 and got[-1] == "closed"


def test_who_leaves_faster_than_the_origin_reads_harms_nobody(pg, proxy):
    """The answer before the unfinished group comes while there is still much of the group to be sent."""
    process = proxy.process
    with Connection.open(proxy.url()) as c:
        c.send(query("begin; insert into t values (9); select pg_sleep(0.3)") + run("commit") + parse("", f"select '{'x' * 16_000_000}'"))
        ends_its_side(c)
    with Connection.open(proxy.url()) as c:   # behind it: there is one connection
        assert c.query("delete from t returning k") == [[b"9"]]
    assert process.poll() is None


def test_what_cannot_be_read_ends_the_connection_behind_the_answers_to_an_unfinished_group(pg, proxy):
    got = alike(pg, proxy, (query("select 1") + run("insert into t values (1)") + parse("s", "select 2") + message(b"y"), -1))
    assert ("C", b"INSERT 0 1\0") in got and got[-1] == "closed"


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
@pytest.mark.parametrize("sql", ["reset all", "reset timezone"])
def test_a_reset_in_a_transaction_leaves_its_unnamed_portal_alone(pg, proxy, sql):
    suspended = parse("", "select generate_series(1, 5)") + bind("", "") + execute("", 2) + SYNC
    got = alike(pg, proxy, (query("begin") + suspended, 2), (run(sql, "r", "r") + SYNC, 1),
                (execute("", 2) + SYNC + query("show timezone"), 2), (query("rollback") + query("show timezone"), 2), TimeZone="Asia/Kolkata")
    assert ("D", b"\0\1\0\0\0\x013") in got


def test_a_question_for_lastval_in_a_transaction_leaves_its_unnamed_portal_alone(pg, proxy):
    pg.psql("create sequence if not exists s")
    suspended = parse("", "select generate_series(1, 5)") + bind("", "") + execute("", 2) + SYNC
    with Connection.open(proxy.url()) as other:
        other.query("select nextval('s')")   # on the connection that the next one gets
    got = alike(pg, proxy, (query("begin") + suspended, 2), (parse("l", "select lastval()") + SYNC, 1), (execute("", 2) + SYNC, 1),
                (bind("l", "l") + execute("l") + SYNC, 1), (query("rollback"), 1))
    assert ("D", b"\0\1\0\0\0\x013") in got and ("C", "55000") in got[-4][1]


def test_a_savepoint_brings_back_what_was_before_a_reset_to_its_own_client_only(pg, proxy):
    work = [query(sql) for sql in ("begin", "set search_path to pg_catalog", "savepoint a", "reset search_path", "show search_path",
                                   "rollback to a", "show search_path", "commit")]
    alike(pg, proxy, *((one, 1) for one in work), search_path="public, pg_catalog")
    assert ("D", b"\0\1\0\0\0\x0f\"$user\", public") in alike(pg, proxy, (query("show search_path"), 1))


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
def test_a_savepoint_in_one_pipeline_with_a_reset_leaves_nothing_to_others(pg, proxy):
    work = b"".join(run(sql) for sql in ("begin", "savepoint a", "reset search_path", "select 1", "rollback to a", "commit"))
    alike(pg, proxy, (query("set search_path to pg_catalog"), 1), (work + SYNC + query("show search_path"), 2), search_path="public, pg_catalog")
    assert ("D", b"\0\1\0\0\0\x0f\"$user\", public") in alike(pg, proxy, (query("show search_path"), 1))


def test_a_prepared_fetch_is_not_what_another_client_had_when_there_was_a_cursor(pg, proxy):
    fetch = parse("f", "fetch all from shared_cur")
    begin = query("begin") + query("declare shared_cur cursor for select 1, 2")
    alike(pg, proxy, (begin + fetch + SYNC + query("rollback"), 4))
    got = alike(pg, proxy, (fetch + describe("S", "f") + bind("", "f") + execute() + SYNC, 1))
    assert ("n", b"") in got


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
def test_a_prepared_execute_is_not_what_another_client_had_when_there_was_a_statement(pg, proxy):
    work = parse("e", "execute shared_sa") + describe("S", "e") + bind("", "e") + execute() + SYNC
    alike(pg, proxy, (query("prepare shared_sa as select 1"), 1), (work, 1))
    assert ("n", b"") in alike(pg, proxy, (work, 1))


LENGTH_OF_2 = message(b"F", struct.pack(">IHHi", 1257, 0, 1, 1) + b"2\0\0")


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
@pytest.mark.parametrize("end", [query("select 1"), LENGTH_OF_2, SYNC], ids=["query", "function call", "sync"])
def test_a_portal_that_was_run_is_gone_behind_whatever_ends_its_pipeline(pg, proxy, end):
    got = alike(pg, proxy, (run("deallocate all", "d", "p") + end + execute("p") + SYNC, 2))
    assert ("C", "34000") in got[-2][1]


@pytest.mark.parametrize("proxy", ["hyperdrive"], indirect=True)
@pytest.mark.parametrize("sql", ["deallocate all", "deallocate a", "deallocate b", "deallocate missing"])
def test_a_deallocate_behind_a_begin_without_a_sync_tells_that_a_transaction_is_open(pg, proxy, sql):
    with Connection.open(pg.url()) as direct, Connection.open(proxy.url()) as proxied:
        talk(direct, (parse("b", "select 2") + SYNC, 1))
        talk(proxied, (parse("b", "select 2") + SYNC, 1))
        # That the proxy's connection has it no longer:
        pg.psql(f"select pg_terminate_backend(pid, 20000) from pg_stat_activity where backend_type = 'client backend' and pid not in (pg_backend_pid(), {direct.pid})")
        work = run("begin", "a") + query(sql) + SYNC
        got = talk(proxied, (work, 2))
        assert got == talk(direct, (work, 2))
        assert got[-1] == ("Z", b"E" if sql.endswith("missing") else b"T")


def test_a_description_is_not_that_of_a_later_statement_with_the_same_text_and_other_types(proxy):
    described = parse("", "select $1::int + 1") + describe("S", "")
    with Connection.open(proxy.url()) as one, Connection.open(proxy.url()) as other:
        talk(one, (described + parse("", "select $1::int + 1", (0, 25)) + SYNC, 1))
        talk(other, (parse("", "select 7") + SYNC, 1))   # on the connection that the other one had
        assert ("D", b"\0\1\0\0\0\x015") in talk(one, (bind("", "", [b"4", b"text"]) + execute() + SYNC, 1))


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
@pytest.mark.parametrize("end", [query("select 1/0"), parse("", "select 1/0") + bind("", "") + execute() + SYNC, query("rollback")],
                         ids=["error", "error in a pipeline", "rollback"])
def test_a_reset_that_is_undone_is_told_at_once_to_be_undone(pg, proxy, end):
    got = alike(pg, proxy, (query("set intervalstyle to 'iso_8601'"), 1), (query("begin"), 1), (query("reset all"), 1), (end, 1),
                (query("rollback"), 1), (query("show intervalstyle"), 1), IntervalStyle="postgres_verbose")
    assert got.count(("S", b"IntervalStyle\0iso_8601\0")) == 2


@pytest.mark.parametrize("began", ["-c role=pg_monitor -c timezone=Asia/Tokyo", "-c app.x=one", "-c lc_monetary=C", "-c statement_timeout=900ms"])
def test_a_reset_in_a_transaction_keeps_the_unnamed_portal_whatever_the_session_began_with(pg, proxy, began):
    opened = parse("", "select generate_series(1, 9)") + bind("", "") + execute("", 2) + SYNC
    shown = run("select current_user, current_setting('timezone'), nullif(current_setting('app.x', true), '')", "q", "q")
    got = alike(pg, proxy, (query("begin") + opened, 2), (run("reset all", "r", "r") + SYNC, 1), (execute("", 2) + SYNC, 1),
                (shown + SYNC + query("rollback"), 2), options=began)
    assert ("D", b"\0\1\0\0\0\x013") in got


def test_a_reset_leaves_whom_the_transaction_has_become_and_brings_back_what_the_session_began_with(pg, proxy):
    alike(pg, proxy, *((query(sql), 1) for sql in (
        "begin", "set role pg_monitor", "reset all", "select current_user, current_setting('timezone')", "rollback", "begin",
        "set app.x to 'two'", "reset app.x", "select current_setting('app.x')", "rollback", "select current_user, current_setting('app.x')")),
        options="-c timezone=Asia/Tokyo -c app.x=one")


@pytest.mark.parametrize("proxy", ["hyperdrive"], indirect=True)
def test_a_client_that_asks_for_too_many_columns_is_told_so_on_every_connection(pg, proxy):
    with Connection.open(proxy.url()) as one, Connection.open(proxy.url()) as other:
        talk(one, (parse("b", "explain (costs off) select 1") + bind("", "b", results=(1,)) + describe("P", "") + SYNC, 1))
        pg.psql("select pg_terminate_backend(pid, 20000) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")
        talk(other, (query("select 1"), 1))   # on another connection of the pool's, which lacks the statement
        got = talk(one, (bind("", "b", results=(1, 0)) + SYNC, 1))
        assert ("C", "08P01") in got[0][1]


def test_a_name_that_is_taken_is_told_as_the_clients_whatever_comes_behind(pg, proxy):
    begin = parse("b", "update t set k = $2 where k = $1::int") + bind("p", "b", [b"1", b"2"]) + bind("p", "b", [b"1", b"2"]) + SYNC
    taken = describe("P", "") + SYNC + parse("b", "select 1") + bind("", "b", [b"1", b"2"]) + execute() + SYNC
    got = alike(pg, proxy, (begin, 1), (taken, 2))
    assert ("M", 'prepared statement "b" already exists') in got[-2][1]


@pytest.mark.parametrize("first", ["", "described"])
def test_an_unnamed_statement_whose_shape_has_changed_stays_outdated(pg, proxy, first):
    pg.psql("drop table if exists w; create table w (a int, b int)")
    run_it = bind("", "") + execute() + SYNC
    with Connection.open(proxy.url()) as one, Connection.open(proxy.url()) as other:
        talk(one, (parse("", "select * from w") + describe("S", "") + SYNC, 1))
        talk(other, (parse("", "select 7") + SYNC, 1))   # on the connection that the other one had
        pg.psql("alter table w add column c text")
        if first:
            talk(one, (bind("", "") + describe("P", "") + execute() + SYNC, 1))
        for _ in range(2):
            assert ("C", "0A000") in talk(one, (run_it, 1))[0][1]
        assert ("C", b"SELECT 0\0") in talk(one, (parse("", "select * from w") + run_it, 1))
