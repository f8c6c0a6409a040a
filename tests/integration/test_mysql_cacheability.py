"""The table mysql_cacheability.tsv, put to a real MariaDB: through the proxy each statement is judged as the table says;
what is called cacheable gives the same bytes from the cache, from another session, after a restart, with the clock half
a year off.

Columns: what the session says first, the statement, status, reason (of `cache explain`; not for sessions of their own).
Backslashes in the first two are Python's.
"""

import json
import os

import pytest

from support import shifted_clock
from support.mariadb import MariaDB
from support.mysql_raw import Raw
from support.ports import PATIENCE, wait_for
from support.proxy import Proxy

HERE = os.path.dirname(__file__)
TABLE = os.path.join(HERE, "mysql_cacheability.tsv")
SCHEMA = os.path.join(HERE, "..", "support", "cacheability-mysql.sql")
MORE_RESULTS = 8
HALF_A_YEAR = 182 * 24 * 3600 + 5 * 3600
STATUSES = ("hit", "miss", "stale", "uncacheable", "volatile", "transaction", "multiplestatements", "notaquery",
            "parseerror", "bypass", "oversizedquery", "oversizedresult")

# With these the clock is known to be wrong.
OF_THE_MOMENT = ["SELECT NOW()", "SELECT CURRENT_DATE", "SELECT UNIX_TIMESTAMP()", "SELECT MONTH(at) FROM hours",
                 "SELECT TO_SECONDS(at) FROM hours", "SELECT * FROM months", "SELECT * FROM of_months", "SELECT m FROM month_of",
                 "SELECT CONVERT_TZ(at, '+00:00', '+01:00') FROM hours", "SELECT COALESCE(at, made) FROM times",
                 "SELECT TIMESTAMP(TIME '10:00:00')"]


def table() -> list[list[str]]:
    with open(TABLE) as file:
        lines = [line.rstrip("\n") for line in file if not line.startswith("#")]
    return [(line.split("\t") + ["", ""])[:4] for line in lines]


def sent(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


def failed(packets: list) -> bool:
    return packets[-1][1][:1] == b"\xff"


def without_plan(packets: list) -> list:
    """Without the flags that say which indexes were used and how fast it was: statistics move by themselves."""
    number, last = packets[-1]
    return packets if failed(packets) else packets[:-1] + [(number, last[:3] + bytes([last[3] & ~0x30, last[4] & ~8]) + last[5:])]


def ask_all(client: Raw, text: bytes) -> list:
    """The first result; those behind it are waited for."""
    first = last = client.ask(text)
    while not failed(last) and last[-1][1][3] & MORE_RESULTS:
        last = client.result()
    return first


@pytest.fixture(scope="module")
def server():
    with MariaDB() as db, open(SCHEMA) as schema:
        db.sql(schema.read())
        yield db


@pytest.fixture(scope="module")
def proxy(server):
    local = {"invalidation": "writes", "session_features": "pin"}
    with Proxy(server, caching={"disabled": False}, origin_connection_limit=4, local=local) as p:
        with Raw(p) as client:
            client.ask("select 1")  # comes back when the catalogs are known
        yield p


@pytest.fixture(scope="module")
def shim():
    with shifted_clock.library() as path:
        yield path


def judged(proxy: Proxy, session: str, statement: str) -> list[str]:
    """What the cache counted while the statement ran in a session of its own, then again."""
    found = []
    with Raw(proxy) as client:
        if session:
            assert client.ask(sent(session))[-1][1][:1] != b"\xff", session
        for _ in range(2):
            before = proxy.stats()["cache"]
            answer = ask_all(client, sent(statement))
            after = proxy.stats()["cache"]
            found.append(" ".join(name for name in STATUSES if after[name] != before[name]))
            if failed(answer) or found[0] != "miss":
                break
    return found


def test_every_statement_of_the_table_is_judged_as_it_says(proxy):
    wrong = []
    rows = table()
    assert len(rows) > 300
    for session, statement, status, reason in rows:
        # An answer may be there already: the same statement, or a lone session's.
        found = judged(proxy, session, statement)
        as_it_says = found[0] == status or (status == "miss" and found[0] == "hit")
        if as_it_says and len(found) == 2 and found[-1] != "hit":  # while the catalogs are read again
            wait_for(lambda: judged(proxy, session, statement)[0] == "hit", 20 * PATIENCE, f"{statement} is kept")
        explained = [status, reason]
        if not session:
            answer = json.loads(proxy.admin("POST", "/v1/explain", json.dumps({"sql": sent(statement).decode()}))[1])
            explained = [answer["status"], answer.get("reason", "")]
        if not as_it_says or explained != [status, reason]:
            wrong.append((session, statement, status, reason, found, explained))
    assert not wrong, "\n".join(map(repr, wrong))


def cacheable() -> list[tuple[str, str]]:
    return [(session, statement) for session, statement, status, _ in table() if status == "miss"]


def answers(server, asked: list[tuple[str, str]]) -> dict[tuple[str, str], list]:
    result = {}
    for session, statement in asked:
        with Raw(server) as client:
            if session:
                client.ask(sent(session))
            result[session, statement] = client.ask(sent(statement))
    return result


def test_an_answer_from_the_cache_is_the_origins_to_the_byte(server, proxy):
    through, direct = [answers(where, cacheable()) for where in (proxy, server)]
    hits = proxy.stats()["cache"]["hit"]
    again = answers(proxy, cacheable())
    assert proxy.stats()["cache"]["hit"] >= hits + len(cacheable()) - 5
    assert not [s for s in direct if not failed(direct[s]) and not through[s] == direct[s] == again[s]]


def test_cacheable_statements_do_not_depend_on_the_session_or_the_clock(server, shim):
    asked = cacheable() + [("", statement) for statement in OF_THE_MOMENT]
    first, again = answers(server, asked), answers(server, asked)
    server.env |= {"LD_PRELOAD": shim, "CLOCK_SHIFT": str(HALF_A_YEAR)}
    try:
        server.restart()
        shifted = answers(server, asked)
    finally:
        del server.env["LD_PRELOAD"], server.env["CLOCK_SHIFT"]
        server.restart()
    wait_for(lambda: server.sql("select 1"), 30 * PATIENCE)
    assert not [s for s in cacheable() if not failed(first[s]) and not without_plan(first[s]) == without_plan(again[s]) == without_plan(shifted[s])]
    agreeing = [s for s in OF_THE_MOMENT if first["", s] == shifted["", s]]
    assert not agreeing, "the clock was not shifted, or these prove nothing"
    errors = [s for s in cacheable() if failed(first[s])]
    assert len(errors) < 3, errors
