"""Many clients that ask for one key at the same moment, while the origin is kept from answering the first of them."""

import time

from .pgwire import Connection, query
from .ports import wait_for

FOLLOW = 1.0   # seconds a follower waits for who asks already: kFollow in proxy/session/*/cache_gate.hpp


def smaller(crowd: list) -> list:
    """For the next try on a machine that does not answer so many before the first of them goes to ask by itself."""
    return crowd[:max(8, len(crowd) * 2 // 3)]


def herd(pg, p, clients, table: str, right) -> tuple[int, int, dict]:
    """How many asked at once, how many of them were asking the origin while its table was locked, and what the cache
    then counted. `right` is called with each client's answer. Where that takes longer than a follower waits, it is
    done again with another key and fewer clients."""
    crowd = list(clients)
    with Connection.open(pg.url()) as lock, Connection.open(pg.url()) as look:
        for turn in range(20):
            sql = f"select *, {turn} from {table}"

            def asking() -> int:
                return int(look.value(f"select count(*) from pg_stat_activity where query = '{sql}' and state = 'active'"))
            before = p.stats()["cache"]
            lock.query(f"begin; lock table {table} in access exclusive mode")
            begin = time.monotonic()
            for c in crowd:
                c.send(query(sql))
            asked = wait_for(asking, 10, "somebody asks the origin", every=0.001)
            lock.query("rollback")
            for c in crowd:
                right(c.until_ready())
            took = time.monotonic() - begin
            counted = {name: now - before[name] for name, now in p.stats()["cache"].items()}
            if took < FOLLOW * 0.9:
                return len(crowd), asked, counted
            crowd = smaller(crowd)
    raise AssertionError(f"{len(crowd)} clients are not answered within {FOLLOW} s")
