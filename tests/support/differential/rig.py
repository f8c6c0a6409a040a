"""Servers for the comparison: one Postgres with two databases made alike, and proxies before the second."""

from dataclasses import replace

from ..pgwire import Closed, Connection, Refused
from ..ports import wait_for
from ..postgres import Postgres
from ..proxy import Proxy
from . import texts
from .arrivals import Relay
from .generator import Kind
from .sides import Crashed, run_range

# Seeds are cut in blocks; each has its kind, in turn: these, and the same with fold_begin. A pinned session keeps its
# connection, so there is one for each client.
PLAIN = [Kind(1), Kind(2), Kind(3, pin=True), Kind(1, pipelined=False), Kind(2, cached=True), Kind(3, pin=True, cached=True),
         Kind(2, pipelined=False), Kind(1, cached=True), Kind(2, pin=True, clients=2), Kind(2, statements=3),
         Kind(3, pin=True, pipelined=False), Kind(1, statements=3)]
KINDS = [kind for plain in PLAIN for kind in (plain, replace(plain, fold=True))]
BLOCK = 500


class Rig:
    """With autovacuum off, for it takes locks when it likes; `between` does its work instead. The proxy's reading of the
    catalogs locks what a view reads while it is written out: lock_timeout is longer. Plans are generic from the first on:
    else a statement's sixth run of all clients together finds its constants wrong at Execute and no longer at Bind."""

    def __init__(self, **local):
        self.local = local   # settings of the proxies, besides those of the kind

    def __enter__(self):
        self.postgres = Postgres(settings={"autovacuum": "off", "plan_cache_mode": "force_generic_plan"}).__enter__()
        self.postgres.psql(texts.SETUP, user="app")
        self.postgres.psql("create role reader", database="postgres")
        self.postgres.psql("create database mirror owner app template shop", database="postgres")
        for database in ("shop", "mirror"):
            self.postgres.psql(f"alter database {database} set lock_timeout = '60ms'", database="postgres")
        self.relay = Relay(self.postgres.port).__enter__()
        return self

    def __exit__(self, *exc):
        self.relay.__exit__(*exc)
        self.postgres.remove()

    def proxy(self, kind: Kind) -> Proxy:
        # The cache's own connection counts in the limit: one more, so that the clients have as many as without.
        limit = kind.pool + kind.cached
        return Proxy(self.postgres, port=self.relay.port, database="mirror", origin_connection_limit=limit, caching={"disabled": not kind.cached},
                     local={"invalidation": "writes", "session_features": "pin" if kind.pin else "hyperdrive", "fold_begin": kind.fold,
                            "prepared_statements": kind.statements} | self.local)

    def said(self) -> str:
        """What Postgres logged of its own troubles."""
        return "\n".join(line for line in self.postgres.log().splitlines() if "FATAL" in line or "signal" in line or "DETAIL:  Failed" in line)

    def vacuum(self):
        for database in ("shop", "mirror"):
            self.postgres.psql("vacuum", database=database)

    def run(self, first: int, last: int, kind: Kind, **more):
        """Raises as run_range does; after Crashed, Postgres is up again."""
        before = self.crashes()
        try:
            with self.proxy(kind) as proxy:
                run_range(self.postgres.url(), proxy.url(), first, last, kind, relay=self.relay, crashed=lambda: self.has_crashed(before), **more)
        except Crashed:
            wait_for(self.accepts, 60, "Postgres recovers from its crash")
            raise

    def crashes(self) -> int:
        return self.postgres.log().count("was terminated by signal")

    def has_crashed(self, before: int) -> bool:
        """Its clients know before the log does."""
        try:
            return wait_for(lambda: self.crashes() > before, .25, "Postgres says that it has crashed")
        except AssertionError:
            return False

    def accepts(self) -> bool:
        try:
            Connection.open(self.postgres.url()).close()
        except (OSError, Closed, Refused):
            return False
        return True


def blocks(first: int, last: int):
    """(first, last, kind) of each block."""
    for start in range(first - first % BLOCK, last, BLOCK):
        yield max(start, first), min(start + BLOCK, last), KINDS[start // BLOCK % len(KINDS)]
