"""A short run of the model-based differential test (tests/support/differential); long ones are run by hand."""

import time

import pytest
from support import differential
from support.differential import Kind, Rig, run_range


@pytest.fixture(scope="module")
def rig():
    with Rig() as rig:
        yield rig


def test_two_databases_of_postgres_itself_do_not_differ(rig):
    """Otherwise a difference would say nothing about the proxy."""
    mirror = rig.postgres.url(database="mirror")
    run_range(rig.postgres.url(), mirror, 0, 60, Kind(3, pin=True))


KINDS = differential.KINDS[::3]   # every second one with fold_begin


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_random_conversations_are_answered_as_postgres_answers(rig, kind):
    """As many as there is time for on a busy machine, from the same seeds."""
    end = time.monotonic() + 4
    for first in range(0, 200, 20):
        rig.run(first, first + 20, kind)
        if time.monotonic() > end:
            break
