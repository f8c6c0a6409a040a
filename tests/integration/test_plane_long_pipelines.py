"""Long pipelines cost their worker time that grows with their length, not with its square: all its other clients wait."""

import os
import threading

import pytest

from support.hyperdrive import sanitized
from support.pgwire import COPY_DONE, SYNC, Connection, bind, execute, parse, query
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def proxy():
    with Postgres() as pg:
        pg.psql("create table t (x int)")
        with Proxy(pg, origin_connection_limit=1, local={"workers": 1}) as p:
            yield p


def cpu_seconds(proxy):
    with open(f"/proc/{proxy.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(proxy, data, answers):
    """Of a pipeline, in seconds of the proxy's time; its last answers are `answers`."""
    with Connection.open(proxy.url()) as c:
        c.send(parse("s", "select 1"), SYNC)
        c.until_ready()
        before = cpu_seconds(proxy)
        sender = threading.Thread(target=c.send, args=(data,))
        sender.start()
        kinds = []
        while kinds[-len(answers):] != answers:
            kinds.append(c.receive()[0])
        sender.join()
        spent = cpu_seconds(proxy) - before
        assert c.value("select 'alive'") == "alive"
    return 0 if sanitized() else spent   # its own time says nothing


def test_many_binds_of_which_the_first_fails(proxy):
    binds = bind("", "missing") + b"".join(bind(f"p{i}", "s") for i in range(8000)) + SYNC
    assert cost(proxy, binds * 40, ["E", "Z"] * 40) < 1.2   # 2.2 s when each looked at all portals


def test_many_statements_of_which_the_first_fails(proxy):
    parses = bind("", "missing") + b"".join(parse(f"n{i}", "select 1") for i in range(8000)) + SYNC
    assert cost(proxy, parses * 40, ["E", "Z"] * 40) < 1.2   # 3.9 s when each looked for its name


@pytest.mark.parametrize("copy, end", [(query("copy t from stdin"), COPY_DONE),
                                       (parse("", "copy t from stdin") + bind("", "") + execute(), COPY_DONE + SYNC)], ids=["simple", "extended"])
@pytest.mark.parametrize("syncs", [9_000, 60_000, 200_000])
def test_many_syncs_before_the_data_of_a_copy(proxy, copy, end, syncs):
    """In any order of their arrival and the origin's: it answers none of them, and the COPY itself only behind its data."""
    assert cost(proxy, copy + SYNC * syncs + end, ["C", "Z"]) < 3   # 60 000: 11 s when each moved all behind it
