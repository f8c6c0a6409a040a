"""A short run of the model-based differential test (tests/support/differential.py); long ones are run by hand."""

import pytest
from support import differential
from support.hyperdrive import Hyperdrive
from support.postgres import Postgres


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        pg.psql(differential.SETUP, user="app")
        pg.psql("create database mirror owner app template shop", database="postgres")
        yield pg


def test_two_connections_to_postgres_itself_do_not_differ(origin):
    """Otherwise a difference would say nothing about the proxy."""
    differential.run_range(origin.url(), origin.url(database="mirror"), 0, 150, pool=3)


@pytest.mark.parametrize("pool, seeds", [(1, 40), (2, 150)])
def test_random_conversations_are_answered_as_postgres_answers(origin, pool, seeds):
    with Hyperdrive() as hd:
        hd.create("mirror", origin.url(database="mirror"), "--caching-disabled", "--origin-connection-limit", str(pool))
        differential.run_range(origin.url(), hd.start("mirror"), 0, seeds, pool, pipelined=False)


def test_and_so_are_settings_when_the_session_keeps_them(origin):
    with Hyperdrive() as hd:
        hd.create("mirror", origin.url(database="mirror"), "--caching-disabled", "--origin-connection-limit", "3",
                  "--session-features", "pin")
        differential.run_range(origin.url(), hd.start("mirror"), 0, 100, 3, pin=True, pipelined=False)
