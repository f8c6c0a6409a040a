"""A connection that is kept for whoever ran a write on it goes at once to whoever waits."""

import contextlib
import statistics
import threading
import time

import pytest

from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.ports import wait_for
from support.proxy import Proxy

SOON = 0.03  # in the median; the proxy looks round every 0.1 s, and nobody is to wait for that


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        db.sql("create table t (id int primary key, b varchar(20))")
        yield db


def test_a_client_of_another_worker_gets_it(db):
    with Proxy(db, origin_connection_limit=1, local={"workers": 2}) as p, contextlib.ExitStack() as stack:
        of_worker = {}
        while len(of_worker) < 2:
            c = stack.enter_context(client(p))
            of_worker[c.thread_id() % 2] = c
        taken = []
        for writer, reader in [(0, 1), (1, 0)] * 5:
            rows(of_worker[writer], "replace into t values (1, 'w')")
            begin = time.monotonic()
            rows(of_worker[reader], "select 1")
            taken.append(time.monotonic() - begin)
    assert statistics.median(taken) < SOON, taken


@pytest.mark.parametrize("workers", [1, 2])
def test_who_waits_while_the_write_runs_gets_it_when_it_ends(db, workers):
    late = []
    with Proxy(db, origin_connection_limit=1, local={"workers": workers}) as p, client(p) as writer, client(p) as reader:
        for _ in range(5):
            ended = []

            def write():
                rows(writer, "replace into t select 2, sleep(0.8)")
                ended.append(time.monotonic())

            thread = threading.Thread(target=write)
            thread.start()
            wait_for(lambda: "sleep" in db.sql("select info from information_schema.processlist where user = 'app'"), 10,
                     "the write runs", every=0.005)
            rows(reader, "select 1")
            served = time.monotonic()
            thread.join()
            late.append(served - ended[0])
    assert statistics.median(late) < SOON, late
