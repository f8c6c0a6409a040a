"""The files of mariadb-dump are loaded through the proxy, on any connection of the pool, and their user variables put back
what they keep."""

import contextlib
import subprocess

import pytest

from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.mysql_moving import MOVE, Others, answer, run
from support.proxy import Proxy

SCHEMA = r"""
create table parent (id int auto_increment primary key, name varchar(30) character set latin1, made timestamp null);
insert into parent (name, made) values ('café "x" \\ y', '2024-01-01 00:00:00'), (null, null);
create table child (id int primary key, p int, foreign key (p) references parent (id));
insert into child values (1, 1), (2, 2);
create view both_names as select p.name, c.id from parent p join child c on c.p = p.id;
delimiter //
create trigger counts before insert on child for each row begin set @n = 1; end//
create procedure proc_reads() begin select 1; end//
create function one() returns int deterministic return 1//
create event daily on schedule every 1 day do select 1//
"""
SHOWN = """checksum table parent, child; show create view both_names; show create table child; select * from parent;
select trigger_name, action_statement, sql_mode, character_set_client, collation_connection from information_schema.triggers;
select routine_name, sql_mode, character_set_client from information_schema.routines where routine_schema = 'shop';
select event_name, time_zone, sql_mode from information_schema.events"""
HEAD = "set @OLD_MODE = @@sql_mode, sql_mode = 'ANSI', @old_zone=@@time_zone, TIME_ZONE='+02:00'"
ASKS = "select @@sql_mode, @@time_zone"
SCRIPTS = {
    "as dumps do": [HEAD, MOVE, ASKS, "set sql_mode = @old_mode, time_zone = @OLD_ZONE", MOVE, ASKS],
    "changed meanwhile": [HEAD, "set sql_mode = 'NO_ZERO_DATE'", MOVE, "set @old_mode = @@sql_mode", MOVE, "set sql_mode = ''", MOVE,
                          "set sql_mode = @old_mode", ASKS],
    "in comments and transactions": [
        "/*!40101 SET @saved_cs = @@character_set_client */", "begin", "set time_zone = '+01:00', @z = @@time_zone", "commit", MOVE,
        "/*!40101 SET character_set_client = @saved_cs */", "begin", "set @@time_zone := @z", "commit", MOVE, ASKS],
    "what is NULL": ["set character_set_results = null", "set @r = @@character_set_results", MOVE, "set names utf8mb4", MOVE,
                     "set character_set_results = @r", "select @@character_set_results"]}


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        yield db


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("mode", ["hyperdrive", "pin"])
def test_a_dump_is_loaded_through_the_proxy(db, mode, cached):
    db.sql("drop database shop; create database shop character set utf8mb4", database="")
    db.sql(SCHEMA)
    dump = subprocess.run(["mariadb-dump", "--no-defaults", f"--socket={db.socket}", "--user=root", "--routines", "--events",
                           "--triggers", "shop"], stdout=subprocess.PIPE, check=True).stdout
    before = db.sql(SHOWN)
    db.sql("drop database shop; create database shop character set utf8mb4", database="")
    with Proxy(db, caching={"disabled": not cached}, origin_connection_limit=2 + cached,
               local={"session_features": mode, "invalidation": "writes"}) as p:
        login = p.login()
        loaded = subprocess.run(["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{login['port']}", f"-u{login['user']}",
                                 f"-p{login['password']}", "shop"], input=dump, stderr=subprocess.PIPE)
        assert loaded.returncode == 0, loaded.stderr
        assert db.sql(SHOWN) == before
        with client(p) as other:
            assert rows(other, "select @old_sql_mode, @@foreign_key_checks, @@time_zone") == [(None, 1, "SYSTEM")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_keeps_a_setting_is_there_on_another_connection(db, name):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=2) as p, contextlib.ExitStack() as stack:
        others = Others(p, stack)
        assert run(p, SCRIPTS[name], others.move) == run(db, SCRIPTS[name], lambda: None)


@pytest.mark.parametrize("sql", ["set @old = 5", "select 5 into @old", "select @old := 5", "set @old = concat(@@sql_mode, 'x')"])
def test_other_values_of_user_variables_end_with_their_statement_and_are_not_taken_for_older_ones(db, sql):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p, client(p) as c:
        answer(c, "set @old = @@sql_mode")
        answer(c, sql)
        assert answer(c, "set sql_mode = @old") == 1235
        answer(c, "set @old = @@sql_mode")
        assert answer(c, "set sql_mode = @old") == [()]
