"""Random legal conversations, packet by packet: straight to one MariaDB and through the proxy to another one. With each
second seed the bytes before and behind the proxy come in pieces and late.

HYPERDRIVE_SEEDS=0-2000 runs other seeds than the usual ones (in one worker, minutes).
"""

import os

import pytest
from support import mysql_differential
from support.arrivals import Arrivals
from support.mariadb import MariaDB
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origins():
    with MariaDB() as first, MariaDB() as second:
        yield first, second


def seeds(usual):
    first, _, last = os.environ.get("HYPERDRIVE_SEEDS", f"0-{usual - 1}").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("features, cached", [("hyperdrive", False), ("pin", False), ("units", False), ("hyperdrive", True), ("pin", True),
                                              ("units", True)])
def test_random_conversations_are_the_same_through_the_proxy(origins, features, cached):
    settings = {"local": {"session_features": "pin" if features == "pin" else "hyperdrive", "wait_timeout": "20s",
                          "invalidation": "writes"},
                "caching": {"disabled": not cached}, "origin_connection_limit": (1 if features == "units" else 3) + cached}
    with Arrivals(origins[1].port) as behind, Proxy(origins[1], port=behind.port, **settings) as proxy, Arrivals(proxy.port) as before:
        for seed in seeds(8):
            mysql_differential.run(seed, origins, proxy, features, relays=(before, behind))
