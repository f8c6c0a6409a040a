"""Statements called cacheable, put to a real Postgres: the same bytes from another session, after a restart, with the
clock half a year off. The statements are those of the unit test's table; the catalogs are read from the server itself.
"""

import os
import subprocess

import pytest
from support import pgwire, shifted_clock
from support.catalog_rows import TRAPS, rows
from support.postgres import Postgres

PROBE = os.path.join(os.path.dirname(os.environ["HYPERDRIVE_BIN"].rstrip("/")), "tests", "sql_probe")
TABLE = os.path.join(os.path.dirname(__file__), "..", "unit", "proxy_sql", "cacheability.tsv")
HALF_A_YEAR = 182 * 24 * 3600 + 5 * 3600

# Depend on the moment and must be told apart from all that does not: with these the clock is known to be wrong.
OF_THE_MOMENT = ["SELECT now()", "SELECT current_date", "SELECT 'today'::date", "SELECT '[today,tomorrow)'::daterange",
                 "SELECT '10:00'::timetz", "SELECT U&'\\0074oday'::date", "SELECT CAST('today' AS date)",
                 "SELECT count(*) FROM recent", "SELECT age(created_at) FROM products", "SELECT localtimestamp",
                 "SELECT ('now'::text)::timestamptz", "SELECT opens::timetz FROM hours",
                 "SELECT opens_tz < '10:00' FROM hours", "SELECT opens AT TIME ZONE 'America/New_York' FROM hours"]
# Of these the answer happens to be the same in summer and winter, or for these rows.
MAY_AGREE = {"SELECT count(*) FROM recent", "SELECT opens_tz < '10:00' FROM hours"}


@pytest.fixture(scope="module")
def server():
    with Postgres(settings={"timezone": "America/New_York"}) as postgres:
        with open(TRAPS) as file:
            postgres.psql(file.read())
        yield postgres


@pytest.fixture(scope="module")
def catalog(server, tmp_path_factory):
    path = tmp_path_factory.mktemp("catalog") / "catalog.tsv"
    path.write_text(rows(PROBE, server.psql))
    return str(path)


@pytest.fixture(scope="module")
def shim():
    with shifted_clock.library() as path:
        yield path


def table():
    with open(TABLE) as file:
        return [line.rstrip("\n").split("\t") + [""] * 6 for line in file if not line.startswith("#")]


def probe(catalog: str, statements: list[str]) -> list[list[str]]:
    out = subprocess.run([PROBE, "resolve", catalog], input="".join(s + "\0" for s in statements), check=True,
                         capture_output=True, text=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def answers(server: Postgres, statements: list[str]) -> dict[str, list]:
    """Every backend message each statement is answered with; each in a session of its own kind."""
    with pgwire.Connection.open(server.url()) as session:
        result = {}
        for statement in statements:
            session.send(pgwire.query(statement))
            result[statement] = session.until_ready()
        return result


def failed(messages: list) -> bool:
    return any(kind == "E" for kind, _ in messages)


def test_the_live_catalogs_give_the_same_judgement_as_the_recorded_ones(catalog):
    wrong = []
    expected = table()
    for row, found in zip(expected, probe(catalog, [row[0] for row in expected])):
        if found[:2] != row[1:3]:
            wrong.append((row[0], row[1:3], found[:2]))
    assert not wrong


def test_cacheable_statements_do_not_depend_on_the_session_or_the_clock(server, catalog, shim):
    statements = [row[0] for row in table()]
    statuses = {s: found[0] for s, found in zip(statements, probe(catalog, statements))}
    cacheable = [s for s in statements if statuses[s] == "miss" and "$1" not in s]
    assert len(cacheable) > 150
    assert not [s for s in OF_THE_MOMENT if statuses.get(s, "volatile") != "volatile"]

    asked = cacheable + OF_THE_MOMENT
    first, again = answers(server, asked), answers(server, asked)
    server.env["LD_PRELOAD"], server.env["CLOCK_SHIFT"] = shim, str(HALF_A_YEAR)
    try:
        server.restart()
        shifted = answers(server, asked)
    finally:
        del server.env["LD_PRELOAD"], server.env["CLOCK_SHIFT"]
        server.restart()

    differing = [s for s in cacheable if not failed(first[s]) and not first[s] == again[s] == shifted[s]]
    assert not differing
    agreeing = [s for s in OF_THE_MOMENT if first[s] == shifted[s] and s not in MAY_AGREE]
    assert not agreeing, "the clock was not shifted, or these prove nothing"
    errors = [s for s in cacheable if failed(first[s])]
    assert len(errors) < 12, errors
