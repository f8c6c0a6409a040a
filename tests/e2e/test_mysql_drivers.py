"""The driver matrix of MySQL: real drivers, each running its whole script, on a proxy with a pool of two.

Every script was written against MariaDB itself; `test_the_scripts_pass_on_mariadb_itself` keeps them honest.
"""

import sys

import pytest
from support import node
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB
from support.matrix import GO, Target, run, script


def mariadb_client(t):
    """The command line client, in batch mode, with a big result and several results."""
    client = ["mariadb", "--no-defaults", f"-h{t.host}", f"-P{t.port}", f"-u{t.user}", f"-p{t.password}", "-N", "-B",
              "--default-character-set=utf8mb4", t.database]
    assert run(client, "select 'żółć', null; select 2;\nselect database(), user() like 'app@%'") == \
        f"żółć\tNULL\n2\n{t.database}\t1\n"
    assert len(run([*client, "--quick"], "select seq, repeat('x', 20) from seq_1_to_100000").splitlines()) == 100_000
    assert run([*client, "-e", "show warnings; select 1/0; show warnings"]).startswith("NULL\nWarning\t1365")
    assert run([*client, "--force"], "create or replace table matrix_cli (k int primary key, v text);"
               "insert into matrix_cli values (1, 'a'), (2, null);\ndelimiter //\n"
               "create or replace procedure matrix_cli_p() begin select * from matrix_cli; end//\n"
               "delimiter ;\ncall matrix_cli_p(); start transaction; delete from matrix_cli; rollback;"
               "select count(*) from matrix_cli") == "1\ta\n2\tNULL\n2\n"
    dump = run(["mariadb-dump", "--no-defaults", f"-h{t.host}", f"-P{t.port}", f"-u{t.user}", f"-p{t.password}",
                "--skip-comments", "--skip-lock-tables", t.database, "matrix_cli"])
    assert "INSERT INTO `matrix_cli` VALUES" in dump
    run(client, dump)


def sysbench(t):
    common = ["sysbench", "--db-driver=mysql", f"--mysql-host={t.host}", f"--mysql-port={t.port}", f"--mysql-user={t.user}",
              f"--mysql-password={t.password}", f"--mysql-db={t.database}", "--tables=1", "--table-size=2000", "--threads=8",
              "--events=400", "--time=0"]
    run([*common, "oltp_read_write", "cleanup"])
    run([*common, "oltp_read_write", "prepare"])
    for mode in ("auto", "disable"):
        for test in ("oltp_point_select", "oltp_read_write"):
            output = run([*common, f"--db-ps-mode={mode}", test, "run"])
            assert "total number of events:              400" in output, output
    run([*common, "oltp_read_write", "cleanup"])


RUNS = {
    "mysql2": lambda t: node.run("mysql2.mjs", t.url),
    "mysqljs": lambda t: node.run("mysqljs.mjs", t.url),
    "mariadb-connector": lambda t: node.run("mariadb.mjs", t.url),
    "drizzle-kysely": lambda t: node.run("orm_mysql.mjs", t.url),
    "prisma": lambda t: node.run("prisma_mysql.mjs", t.url),
    "pymysql": lambda t: run([sys.executable, script("matrix_mysql_dbapi.py"), "pymysql", *t.parts()]),
    "mysqlclient": lambda t: run([sys.executable, script("matrix_mysql_dbapi.py"), "MySQLdb", *t.parts()]),
    "php": lambda t: run(["php", script("matrix_mysql.php"), *t.parts()]),
    "perl-dbd-mysql": lambda t: run(["perl", script("matrix_mysql.pl"), "mysql", *t.parts()]),
    "perl-dbd-mariadb": lambda t: run(["perl", script("matrix_mysql.pl"), "MariaDB", *t.parts()]),
    "go-sql-driver": lambda t: run(["go", "run", script("matrix_mysql.go"),
                                    f"{t.user}:{t.password}@tcp({t.host}:{t.port})/{t.database}"], **GO),
    "connector-j": lambda t: run(["java", "-cp", "/usr/share/java/mariadb-java-client.jar", script("MatrixMysql.java"),
                                  f"jdbc:mariadb://{t.host}:{t.port}/{t.database}", t.user, t.password]),
    "mariadb-client": mariadb_client,
    "sysbench": sysbench,
}


@pytest.fixture(scope="module")
def origin():
    with MariaDB({"max_connections": "250"}) as db:
        yield db


@pytest.mark.parametrize("driver", sorted(RUNS))
def test_the_scripts_pass_on_mariadb_itself(origin, driver):
    RUNS[driver](Target(origin.url()))


def serve(hd, origin, name, *flags):
    hd.create(name, origin.url(), "--caching-disabled", "--origin-connection-limit", "2", "--wait-timeout", "60s", *flags)
    return Target(hd.start(name))


# User variables that outlive their statement: dumps and callproc() need `pin`, as they do not work at Cloudflare.
NEED_PIN = {"mariadb-client", "pymysql", "mysqlclient"}


@pytest.fixture(scope="module")
def proxied(origin):
    with Hyperdrive() as hd:
        yield {False: serve(hd, origin, "matrix"), True: serve(hd, origin, "pinning", "--session-features", "pin")}


@pytest.mark.parametrize("driver", sorted(RUNS))
def test_the_driver_works_through_a_pool_of_two(proxied, driver):
    RUNS[driver](proxied[driver in NEED_PIN])


def test_the_pools_kept_their_limit(origin, proxied):
    assert origin.connections() <= 4
