"""The rows of the MySQL plane: sysbench before MariaDB, a bare relay, an answerer from memory."""

from . import servers
from .measure import in_turns
from .row import Row
from .sysbench import CONNECT, HOT, sysbench

WAYS = {"text": False, "prepared": True}  # whether sysbench prepares


def turns(bench, targets, times: int = 1, **how):
    """As Bench.turns, with sysbench."""
    seconds = max(round(how.pop("seconds", bench.seconds) / times), 1)
    for each in targets:  # warm: connections, statements, caches
        sysbench(each, **(how | {"seconds": 1}))
    return in_turns(targets, bench.rounds * times, lambda each: sysbench(each, seconds=seconds, **how))


def pooled(bench):
    ours = servers.proxy(bench.mariadb, cached=False, pool=20)
    # The bar is of a bare relay on epoll, as the reference's; one on the proxy's own loop shows what the proxy itself costs.
    relay = servers.Own("relay", str(bench.mariadb.port), loop="epoll")
    own_loop = servers.Own("relay", str(bench.mariadb.port))
    try:
        mine, bare, own = servers.target("ours", ours), servers.target("relay", relay), servers.target("own loop", own_loop)
        for test in ("oltp_point_select", "oltp_read_only"):
            for way, prepared in WAYS.items():
                got = turns(bench, [mine, bare, own], test=test, prepared=prepared)
                a, r, o = got["ours"], got["relay"], got["own loop"]
                what = f"mysql {test.removeprefix('oltp_').replace('_', ' ')} {way}"
                yield Row(f"{what}: CPU per query / bare relay", a.cpu_us, r.cpu_us, "µs",
                          a.cpu_us / r.cpu_us, 1.1, 1.0, True)
                yield Row(f"{what}: CPU per query / relay on the same loop", a.cpu_us, o.cpu_us, "µs", a.cpu_us / o.cpu_us, None, 1.0, True)
                yield Row(f"{what}: queries/s / bare relay", a.tps, r.tps, "q/s", a.tps / r.tps, None, 1.0, False)
        yield from one_client(bench, mine, bare)
        yield from many_clients(bench, mine, bare)
    finally:
        ours.__exit__(None, None, None)
        relay.stop()
        own_loop.stop()


def one_client(bench, mine, bare):
    got = turns(bench, [mine, bare, servers.target("direct", bench.mariadb)], times=4, threads=1)
    a, r = (max(got[name].p50 - got["direct"].p50, 1) for name in ("ours", "relay"))
    yield Row("mysql one client: added p50 / bare relay", a, r, "µs", a / r, None, 1.0, True)


def many_clients(bench, mine, bare):
    """sysbench has a thread for each client: the relay shows what of the spread is those threads waiting for a core."""
    got = turns(bench, [mine, bare], threads=200, seconds=bench.seconds * 2)
    a, r = got["ours"], got["relay"]
    yield Row("mysql 200 clients: p99 / bare relay", a.p99, r.p99, "µs", a.p99 / r.p99, None, 1.0, True)
    yield Row("mysql 200 clients: p50 / bare relay", a.p50, r.p50, "µs", a.p50 / r.p50, None, 1.0, True)


def hits(bench):
    ours = servers.proxy(bench.mariadb, cached=True, pool=20)
    limit = servers.Own("mysql_answerer")
    try:
        targets = [servers.target("ours", ours), servers.target("limit", limit), servers.target("direct", bench.mariadb)]
        for way, prepared in WAYS.items():
            got = turns(bench, targets, prepared=prepared, rows=HOT)
            a, l, d = got["ours"], got["limit"], got["direct"]
            yield Row(f"mysql hit {way}: queries/s / limit", a.tps, l.tps, "q/s", a.tps / l.tps, 0.7, 0.9, False)
            yield Row(f"mysql hit {way}: CPU per query / limit", a.cpu_us, l.cpu_us, "µs", a.cpu_us / l.cpu_us,
                      None, 1.2, True)
            yield Row(f"mysql hit {way}: queries/s / MariaDB itself", a.tps, d.tps, "q/s", a.tps / d.tps, 2.0, 2.4, False)
            yield Row(f"mysql hit {way}: CPU per query / MariaDB itself", a.cpu_us, d.cpu_us, "µs", a.cpu_us / d.cpu_us,
                      0.5, 0.3, True)
            yield Row(f"mysql hit {way}: p99 / MariaDB itself", a.p99, d.p99, "µs", a.p99 / d.p99, None, 0.5, True)
    finally:
        ours.__exit__(None, None, None)
        limit.stop()


def connects(bench):
    ours = servers.proxy(bench.mariadb, cached=False, pool=20)
    try:
        targets = [servers.target("ours", ours), servers.target("direct", bench.mariadb)]
        got = turns(bench, targets, test=CONNECT, threads=8)
        a, d = got["ours"], got["direct"]
        yield Row("mysql connect+query+close: 1/s / MariaDB itself", a.tps, d.tps, "1/s", a.tps / d.tps, None, 1.0, False)
    finally:
        ours.__exit__(None, None, None)


ALL = {"mysql-pooled": pooled, "mysql-hits": hits, "mysql-connects": connects}
