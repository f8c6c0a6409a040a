"""What MySQL drivers' own test suites ask of a connection and a pooler easily gets wrong."""

import MySQLdb
import pymysql
import pytest
from support import mywire as w
from support.mariadb import MariaDB
from support.ports import wait_for
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origin():
    with MariaDB() as db:
        yield db


@pytest.fixture(scope="module", params=["pin", "hyperdrive"])
def proxy(origin, request):
    with Proxy(origin, origin_connection_limit=4, local={"session_features": request.param}) as p:
        yield p


def test_a_transaction_that_an_error_has_begun_ends_with_its_client(proxy, origin):
    origin.sql("create or replace table busy (id int primary key) engine=innodb; insert into busy values (1)", "shop")
    holder = pymysql.connect(**proxy.login(), autocommit=False)
    holder.cursor().execute("delete from busy")
    waiter = pymysql.connect(**proxy.login(), autocommit=False)
    with waiter.cursor() as cursor:
        cursor.execute("set innodb_lock_wait_timeout = 1")
        with pytest.raises(pymysql.err.OperationalError) as refused:
            cursor.execute("select id from busy for update")
        assert refused.value.args[0] == 1205
    waiter.close()
    holder.rollback()

    def dropped():
        try:
            with pymysql.connect(**proxy.login()) as client, client.cursor() as cursor:
                cursor.execute("set lock_wait_timeout = 1")
                cursor.execute("drop table busy")
        except pymysql.err.OperationalError:
            return False
        return True
    wait_for(dropped, 10, "the metadata lock to be gone")
    holder.close()


def test_the_eof_behind_columns_says_whether_more_results_follow_as_the_origin_says_it(proxy, origin):
    # libmariadb's mysql_more_results() believes it while the rows are still to be read.
    with pymysql.connect(**origin.login()) as client:
        client.cursor().execute("create or replace procedure several() begin select 1; select 2, 3; end")
    for sql in ("call several()", "select 1; select 2; do 0", "select 1; select 2", "select 1", "call several(); call several()",
                "select 0 from dual where false; select 1 from dual where false",
                "begin not atomic select 1; select 2; end", "if 1 then select 1; end if"):
        statuses = []
        for port, user, password in ((origin.port, origin.user, origin.password),
                                     (proxy.port, proxy.user, proxy.password)):
            with w.Wire(port, user, password, "shop", w.USUAL | w.MULTI_STATEMENTS) as client:
                client.send(w.query(sql))
                statuses.append([client.status_of(event) & w.MORE_RESULTS for event in client.reply("query")
                                 if event[0] in ("eof", "ok")])
        assert statuses[0] == statuses[1], sql


def test_a_client_gets_the_character_set_that_its_handshake_asks_for(proxy):
    for charset, number in (("latin2", 9), ("koi8r", 7), ("cp1250", 26), ("hebrew", 16)):
        with pymysql.connect(**proxy.login(), charset=charset) as client, client.cursor() as cursor:
            assert client.charset == charset
            cursor.execute("select @@character_set_client, @@character_set_results, "
                           "(select id from information_schema.collations where collation_name = @@collation_connection)")
            assert cursor.fetchone() == (charset, charset, number)


def test_a_databases_changed_defaults_are_seen_by_later_clients(proxy):
    asked = "select @@character_set_database, @@collation_database"
    clients = [pymysql.connect(**proxy.login(), autocommit=True) for _ in range(3)]
    for client in clients:
        client.begin()
        client.query("select 1")
    for client in clients:
        client.rollback()
        client.close()
    for charset, collation in (("latin1", "latin1_german1_ci"), ("utf8mb4", "utf8mb4_general_ci")):
        with pymysql.connect(**proxy.login()) as client:
            client.query(f"alter database shop character set {charset} collate {collation}")
        later = [pymysql.connect(**proxy.login()) for _ in range(3)]
        for client in later:
            with client.cursor() as cursor:
                cursor.execute("begin")
                cursor.execute(asked)
                assert cursor.fetchone() == (charset, collation)
        for client in later:
            client.close()


def test_an_idle_session_ends_when_its_own_wait_timeout_has_passed(proxy):
    with pymysql.connect(**proxy.login()) as lasting, pymysql.connect(**proxy.login()) as brief:
        brief.query("set wait_timeout = 1")

        def ended():
            try:
                lasting.ping(reconnect=False)
                brief._sock.settimeout(0.05)
                return brief._sock.recv(1) == b""
            except TimeoutError:
                return False
        wait_for(ended, 10, "the end of the idle session")
        lasting.ping(reconnect=False)
        brief._force_close()


def test_a_connection_that_was_reset_has_its_databases_collation_again(origin):
    origin.sql("alter database shop collate latin1_german2_ci")
    try:
        with Proxy(origin, origin_connection_limit=1) as p:
            with pymysql.connect(**p.login()) as client:
                client.query("set @left = 1")
            for _ in range(2):
                with pymysql.connect(**p.login()) as client, client.cursor() as cursor:
                    cursor.execute("select @@collation_database, @left, database()")
                    assert cursor.fetchone() == ("latin1_german2_ci", None, "shop")
    finally:
        origin.sql("alter database shop collate utf8mb4_general_ci")


def test_a_session_that_loses_its_connection_while_idle_is_closed_without_a_packet(proxy, origin):
    # libmariadb would take it for the answer to its next query: "malformed packet" instead of "lost connection".
    with pymysql.connect(**proxy.login(), autocommit=False) as client:
        client.begin()
        with client.cursor() as cursor:
            cursor.execute("select connection_id()")
            origin.sql(f"kill {cursor.fetchone()[0]}")
        assert client._sock.recv(1) == b""
        client._force_close()


def test_a_client_library_may_log_in_again_on_its_connection(proxy):
    # MariaDB's connector answers the scramble of its login, whatever one comes with the question.
    client = MySQLdb.connect(**proxy.login())
    for _ in range(2):
        client.change_user(proxy.user, proxy.password, proxy.database)
        assert client.cursor().execute("select 1") == 1
    with pytest.raises(MySQLdb.OperationalError) as refused:
        client.change_user(proxy.user, "wrong", proxy.database)
    assert refused.value.args[0] == 1045


def test_settings_put_back_from_a_variable_that_has_gone_are_refused_and_not_made_null(origin):
    with Proxy(origin, origin_connection_limit=2) as pooled:
        client = pymysql.connect(**pooled.login())
        with client.cursor() as cursor:
            cursor.execute("set @saved = concat(@@character_set_results)")
            with pytest.raises(pymysql.err.Error) as refused:
                cursor.execute("/*!40101 SET character_set_results = @saved */")  # NULL would do: no conversion
            assert refused.value.args[0] == 1235 and "--session-features pin" in refused.value.args[1]
            assert cursor.execute("select 'ä' from (select @@character_set_results as c) r where c is not null") == 1
            cursor.execute("begin")
            cursor.execute("set @saved = @@sql_mode")
            cursor.execute("set sql_mode = @saved")
            cursor.execute("commit")
        assert pooled.stats()["refusals"]["user_variable"] == 1
