"""invalidation = replication on MariaDB: writes that go past the proxy, told by the binary log."""

import contextlib
import os
import re
import signal
import struct
import threading
import time

import pymysql
import pytest
from pymysql.constants import CLIENT

from support import mysql_client
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB
from support.mysql_client import rows
from support.mysql_raw import Raw
from support.ports import PATIENCE, wait_for
from support.proxy import NotReady, Proxy

LOGGED = {"log_bin": "binlog", "binlog_format": "ROW", "server_id": "7"}


@pytest.fixture(scope="module")
def db():
    with MariaDB(settings=LOGGED) as db:
        yield db


def proxy(db, mode="replication", **more):
    return Proxy(db, caching={"disabled": False, "max_age": 600}, origin_connection_limit=8,
                 local={"invalidation": mode, "session_features": "pin"}, **more)


def client(where, **more):
    return mysql_client.client(where, **({"local_infile": True, "client_flag": CLIENT.MULTI_STATEMENTS} | more))


def counts(p):
    return p.stats()["cache"]


def warnings(p):
    return p.status()["warnings"]


def cached(p, c, sql):
    """Until it is answered from memory; the answer."""
    def hit():
        before = counts(p)["hit"]
        answer = rows(c, sql)
        return counts(p)["hit"] > before and [answer]
    return wait_for(hit, 20, f"a hit on {sql}")[0]


def table(db, name, more=""):
    db.sql(f"drop table if exists {name}; create table {name} (id int primary key, v int {more}); insert into {name} (id, v) values (1, 0)")
    return f"select v from {name} where id = 1"


# --- truth under fire: one way for a write to reach what was read, after another ----------------------

# name, what makes it (the version is 0 then), statements that raise the version to {v}, reads whose last column is it
SCENES = [
    ("single", "create table single (id int primary key, v int); insert into single values (1, 0)",
     ["update single set v = {v} where id = 1"], ["select v from single where id = 1", "select max(v) from single"]),
    ("rows", "create table many (id int primary key, v int); insert into many select seq, 0 from seq_1_to_500",
     ["begin", "update many set v = {v} where id <= 250", "update many set v = {v} where id > 250", "commit"],
     ["select if(min(v) = max(v), max(v), -1) from many"]),
    ("joined", "create table j_a (id int primary key, v int); create table j_b (id int primary key, v int);"
     "insert into j_a values (1, 0); insert into j_b values (1, 0)",
     ["update j_a a join j_b b using (id) set a.v = {v}, b.v = {v}"],
     ["select v from j_b", "select least(a.v, b.v) from j_a a, j_b b"]),
    ("replace", "create table rep (id int primary key, v int); insert into rep values (1, 0)",
     ["replace into rep values (1, {v})"], ["select v from rep where id = 1"]),
    ("upsert", "create table ups (id int primary key, v int); insert into ups values (1, 0)",
     ["insert into ups values (1, {v}) on duplicate key update v = values(v)"], ["select v from ups where id = 1"]),
    ("savepoint", "create table sav (id int primary key, v int); insert into sav values (1, 0)",
     ["begin", "savepoint s", "update sav set v = -1", "rollback to s", "update sav set v = {v}", "commit"],
     ["select v from sav where id = 1"]),
    ("cascade", "create table c_p (id int primary key, v int, key (v)); create table c_c (id int primary key, v int,"
     " foreign key (v) references c_p (v) on update cascade); create table c_g (id int primary key, v int, foreign key (v)"
     " references c_c (v) on update cascade); insert into c_p values (1, 0); insert into c_c values (1, 0);"
     "insert into c_g values (1, 0)",
     ["update c_p set v = {v}"], ["select v from c_p", "select v from c_c", "select v from c_g where id = 1"]),
    ("deleted", "create table d_p (id int primary key); create table d_c (id int primary key, foreign key (id) references d_p"
     " (id) on delete cascade); insert into d_p select seq from seq_0_to_50; insert into d_c select seq from seq_0_to_50",
     ["delete from d_p where id < {v}"], ["select min(id) from d_p", "select min(id) from d_c"]),
    ("trigger", "create table t_a (id int primary key, v int); create table t_b (id int primary key, v int);"
     "insert into t_a values (1, 0); insert into t_b values (1, 0);"
     "create trigger t_t after update on t_a for each row update t_b set v = new.v",
     ["update t_a set v = {v}"], ["select v from t_b where id = 1"]),
    ("view", "create table v_t (id int primary key, v int); insert into v_t values (1, 0); create view v_v as select * from v_t",
     ["update v_v set v = {v}"], ["select v from v_v where id = 1", "select v from v_t"]),
    ("truncate", "create table tru (id int primary key, v int); insert into tru values (1, 0)",
     ["truncate table tru", "insert into tru values (1, {v})"], ["select max(v) from tru"]),
    ("partition", "create table par (id int, v int) partition by hash (id) partitions 3; insert into par values (1, 0)",
     ["update par set v = {v} where id = 1"], ["select v from par where id = 1", "select max(v) from par partition (p1)"]),
    ("exchange", "create table exc (id int, v int) partition by range (v) (partition p0 values less than (1000));"
     "insert into exc values (1, 0); create table exc_s (id int, v int)",
     ["truncate exc_s", "insert into exc_s values (1, {v})", "alter table exc exchange partition p0 with table exc_s"],
     ["select max(v) from exc"]),
    ("myisam", "create table mya (id int primary key, v int) engine=MyISAM; insert into mya values (1, 0)",
     ["update mya set v = {v}"], ["select v from mya where id = 1"]),
    ("mixed", "create table mix_i (id int primary key, v int); create table mix_m (id int primary key, v int) engine=Aria;"
     "insert into mix_i values (1, 0); insert into mix_m values (1, 0)",
     ["begin", "update mix_m set v = {v}", "update mix_i set v = {v}", "rollback"], ["select v from mix_m where id = 1"]),
    ("load", "create table loa (id int primary key, v int); insert into loa values (1, 0)",
     ["load data local infile '{file}' replace into table loa (id, v)"], ["select v from loa where id = 1"]),
    ("loaded as text", "create table lot (id int primary key, v int); insert into lot values (1, 0)",
     ["set session binlog_format = 'STATEMENT'", "load data local infile '{file}' replace into table lot (id, v)",
      "set session binlog_format = 'ROW'"], ["select v from lot where id = 1"]),
    ("audited", "create table aud (id int primary key, v int); create table aud_a (v int) engine=Aria transactional=1;"
     "insert into aud values (1, 0); create trigger aud_t after update on aud for each row insert into aud_a values (new.v)",
     ["update aud set v = {v}"], ["select v from aud where id = 1", "select max(v) from aud_a"]),
    ("procedure", "create table pro (id int primary key, v int); insert into pro values (1, 0);"
     "create procedure pro_p (n int) update pro set v = n",
     ["call pro_p({v})"], ["select v from pro where id = 1"]),
    ("statement", "create table sta (id int primary key, v int); insert into sta values (1, 0)",
     ["set session binlog_format = 'STATEMENT'", "update sta set v = {v}", "set session binlog_format = 'ROW'"],
     ["select v from sta where id = 1"]),
    ("xa", "create table xat (id int primary key, v int); insert into xat values (1, 0)",
     ["xa start 'x'", "update xat set v = {v}", "xa end 'x'", "xa prepare 'x'", "xa commit 'x'"],
     ["select v from xat where id = 1"]),
    ("one phase", "create table xao (id int primary key, v int); insert into xao values (1, 0)",
     ["xa start 'y'", "update xao set v = {v}", "xa end 'y'", "xa commit 'y' one phase"], ["select v from xao where id = 1"]),
    ("other database", "create database if not exists far; create table far.fa (id int primary key, v int);"
     "insert into far.fa values (1, 0)", ["update far.fa set v = {v}"], ["select v from far.fa where id = 1"]),
    ("odd name", "create table `odd ``na'me`` é` (id int primary key, v int); insert into `odd ``na'me`` é` values (1, 0)",
     ["update `odd ``na'me`` é` set v = {v}"], ["select v from `odd ``na'me`` é` where id = 1"]),
    ("alter", "create table alt (id int primary key, v int default 0); insert into alt values (1, 0)",
     ["alter table alt drop column v, add column v int default {v}"], ["select * from alt where id = 1"]),
    ("recreate", "create table rec (id int primary key, v int); insert into rec values (1, 0)",
     ["create or replace table rec as select 1 as id, {v} as v"], ["select v from rec where id = 1"]),
    ("swap", "create table swa (id int primary key, v int); insert into swa values (1, 0)",
     ["create table swa_n as select 1 as id, {v} as v", "rename table swa to swa_o, swa_n to swa", "drop table swa_o"],
     ["select v from swa where id = 1"]),
    ("new view", "create table nv_t (id int primary key); insert into nv_t values (1); create view nv as select id, 0 as v from nv_t",
     ["create or replace view nv as select id, {v} as v from nv_t"], ["select v from nv where id = 1"]),
    ("late key", "create table lk_p (id int primary key, v int, key (v)); create table lk_c (id int primary key, v int, key (v));"
     "insert into lk_p values (1, 0); insert into lk_c values (1, 0)",
     ["alter table lk_c add constraint lk foreign key (v) references lk_p (v) on update cascade", "update lk_p set v = {v}",
      "alter table lk_c drop foreign key lk"], ["select v from lk_c where id = 1"]),
]


class Readers:
    """Threads that read through the proxy, as text and as prepared statements; nobody may see less than was told."""

    def __init__(self, p):
        self.p, self.reads, self.told, self.done = p, (), 0, False
        self.checks, self.wrong, self.broken = 0, [], []
        self.seen = [{} for _ in range(4)]
        self.rounds = [0, 0, 0, 0]
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(4)]

    def run(self, number):
        try:
            with Raw(self.p) as c:
                while not self.done:
                    told, reads = self.told, self.reads
                    for sql in reads:
                        seen = value(c, sql, number % 2 == 1)
                        self.checks += 1
                        if seen is not None and seen < told:
                            self.wrong.append((sql, f"saw {seen} after {told}"))
                        if seen is not None:
                            self.seen[number][sql] = seen
                    self.rounds[number] += 1
                    if not reads:
                        time.sleep(0.001)
        except BaseException as error:
            self.broken.append(repr(error))

    def have_seen(self, version):
        """All of them, in every shape: from now on nobody may see less."""
        return self.broken or all(seen.get(sql, 0) >= version for seen in self.seen for sql in self.reads)

    def go_round(self, times=2):
        goal = [done + times for done in self.rounds]
        wait_for(lambda: self.broken or all(r >= g for r, g in zip(self.rounds, goal)), 20, "the readers read", 0.001)
        assert not self.broken, self.broken

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        for thread in self.threads:
            thread.join(60)


def value(c, sql, binary):
    """The last column as a number; None where a definition was in the way, or it is NULL."""
    if binary:
        known = c.__dict__.setdefault("prepared", {})
        if sql not in known:
            known[sql] = c.prepare(sql)
        answer = c.execute(known[sql])
    else:
        answer = c.ask(sql)
    if answer[0][1][0] == 0xFF:
        code = struct.unpack("<H", answer[0][1][1:3])[0]
        assert code in (1054, 1146, 1412, 1615, 1213, 1356), answer
        return None
    columns = answer[0][1][0]
    row = answer[1 + columns][1]
    if binary and row[1] & 4:
        return None
    if binary:
        return struct.unpack("<q", row[-8:])[0] if len(row) > 2 + 4 * columns else struct.unpack("<i", row[-4:])[0]
    for _ in range(columns):
        if row[0] == 0xFB:
            return None
        last, row = row[1:1 + row[0]], row[1 + row[0]:]
    return int(last)


def play(db, p, scene, readers, versions, file):
    """Raises the version past the proxy; it is told to the readers once all have seen it."""
    name, _, writes, reads = scene
    readers.told, readers.reads = 0, reads
    with client(db) as writer, client(p) as own:
        with contextlib.suppress(AssertionError):
            cached(p, own, reads[0])
        for version in range(1, versions + 1):
            with open(file, "w") as f:
                f.write(f"1\t{version}\n")
            for sql in writes:
                rows(writer, sql.replace("{v}", str(version)).replace("{file}", file))
            wait_for(lambda: readers.have_seen(version), 10, f"{name} shows {version}", 0.001)
            readers.told = version
            readers.go_round()
    readers.reads = ()
    readers.told = 0
    readers.go_round(1)


def test_every_way_to_write_past_the_proxy_is_seen(db, tmp_path):
    db.sql("".join(scene[1] + ";" for scene in SCENES))
    with proxy(db) as p, Readers(p) as readers:
        cold = []
        for scene in SCENES:
            before = counts(p)["hit"]
            # Where the engines commit by themselves a stale answer needs luck: many times.
            play(db, p, scene, readers, 150 if scene[0] == "audited" else 4, str(tmp_path / "rows"))
            assert not readers.wrong, (scene[0], readers.wrong[:5])
            if counts(p)["hit"] == before:
                cold.append(scene[0])
        print(f"{readers.checks} checks, {len(readers.wrong)} wrong, without a hit: {cold}")
        assert len(cold) < 4, cold
        assert not [w for w in warnings(p) if "Nothing is served" in w]


def test_many_writers_at_once_and_files_that_fill(tmp_path):
    """The log goes to its next file every few transactions."""
    with MariaDB(settings=LOGGED | {"max_binlog_size": "4096"}) as own:
        reads = [table(own, f"w{n}") for n in range(4)]
        with proxy(own) as p:
            told, wrong, checks, done = [0] * 4, [], [0], threading.Event()

            def read(n):
                with Raw(p) as c:
                    while not done.is_set():
                        floor = told[n]
                        seen = value(c, reads[n], False)
                        checks[0] += 1
                        if seen < floor:
                            wrong.append((n, seen, floor))

            def write(n):
                with client(own) as writer, client(p) as c:
                    for version in range(1, 60):
                        rows(writer, f"update w{n} set v = {version}")
                        if version % 20 == 0:
                            rows(writer, "flush binary logs")
                        if version % 3 == 0:
                            wait_for(lambda: rows(c, reads[n])[0][0] >= version, 10, "it is seen", 0.001)
                            told[n] = version
                            time.sleep(0.005)
            readers = [threading.Thread(target=read, args=(n,)) for n in range(4)]
            writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
            for thread in readers + writers:
                thread.start()
            for thread in writers:
                thread.join()
            done.set()
            for thread in readers:
                thread.join()
            assert not wrong, wrong[:5]
            assert told == [57] * 4 and checks[0] > 100 and counts(p)["hit"] > 20, (told, checks, counts(p))


# --- the fence --------------------------------------------------------------------------------------

@pytest.mark.parametrize("rotated", [False, True], ids=["same file", "next file"])
@pytest.mark.parametrize("fence", [True, False])
def test_a_commit_that_is_logged_before_it_is_visible(fence, rotated):
    """A semi-synchronous replica that is missing holds the window open. Without the fence the old row is kept."""
    settings = LOGGED | {"rpl_semi_sync_master_wait_point": "AFTER_SYNC", "rpl_semi_sync_master_timeout": "600000"}
    if rotated:
        settings["max_binlog_size"] = "4096"
    with MariaDB(settings=settings) as own:
        sql = table(own, "held", ", filling varchar(5000) default ''")
        table(own, "other")
        env = {} if fence else {"HYPERDRIVE_TEST_WITHOUT_FENCE": "1"}
        with proxy(own, env=env) as p, client(p) as reader:
            assert cached(p, reader, sql) == [(0,)]
            own.sql("set global rpl_semi_sync_master_enabled = 1")
            more = ", filling = repeat('x', 4500)" if rotated else ""
            writer = threading.Thread(target=own.sql, args=(f"update held set v = 1{more}",))
            writer.start()
            try:
                def told():
                    before = counts(p)["miss"]
                    assert rows(reader, sql) == [(0,)]
                    return counts(p)["miss"] > before
                wait_for(told, 10, "the log has told of the commit")
                deadline = time.monotonic() + 1.5
                while time.monotonic() < deadline:
                    assert rows(reader, sql) == [(0,)]
            finally:
                own.sql("set global rpl_semi_sync_master_enabled = 0")
                writer.join()
            if fence:
                wait_for(lambda: rows(reader, sql) == [(1,)], 5, "the new row")
                assert cached(p, reader, sql) == [(1,)]
            else:
                time.sleep(0.5)
                assert rows(reader, sql) == [(0,)], "the fence is not needed here: this test shows nothing"


# --- a stream that breaks ---------------------------------------------------------------------------

def dump_threads(db):
    return [line.split("\t")[0] for line in db.sql("show processlist").splitlines() if "Binlog Dump" in line]


def test_while_the_stream_is_broken_nothing_is_served_from_memory(db):
    sql = table(db, "broken")
    with proxy(db) as p, client(p) as reader, client(db) as writer:
        for version in range(1, 6):
            cached(p, reader, sql)
            (thread,) = wait_for(lambda: dump_threads(db), 10, "the log flows")
            db.sql(f"kill {thread}")
            rows(writer, f"update broken set v = {version}")
            wait_for(lambda: rows(reader, sql) == [(version,)], 10, "the new row", 0.001)
            wait_for(lambda: not warnings(p), 20, "the log is followed again")
        assert "Nothing is served from the cache" in p.log()


def test_a_frozen_stream_counts_as_lost(db):
    """The origin's connection stays open, but nothing comes: after 10 s nothing is served."""
    sql = table(db, "frozen")
    with proxy(db) as p, client(p) as reader:
        cached(p, reader, sql)
        os.kill(db.pid(), signal.SIGSTOP)
        try:
            wait_for(lambda: [w for w in warnings(p) if "Nothing is served" in w], 20, "it is noticed")
        finally:
            os.kill(db.pid(), signal.SIGCONT)
            db.process.send_signal(signal.SIGCONT)  # what runs it as another user has stopped with it
        wait_for(lambda: not warnings(p), 20, "the log is followed again")
        assert cached(p, reader, sql) == [(0,)]


@pytest.mark.parametrize("how", ["stop", "kill", "reset", "purge"])
def test_after_a_restart_or_a_new_log_writes_are_seen(how):
    with MariaDB(settings=LOGGED | {"innodb_flush_log_at_trx_commit": "1", "sync_binlog": "1"}) as own:
        sql = table(own, "again")
        with proxy(own) as p:
            with client(p) as reader:
                cached(p, reader, sql)
                if how == "purge":
                    own.sql("flush binary logs; flush binary logs")
                    own.sql("purge binary logs before now() + interval 1 day")
                elif how == "reset":
                    own.sql("reset master")
                own.sql("update again set v = 1")
                if how in ("purge", "reset"):
                    wait_for(lambda: rows(reader, sql) == [(1,)], 10, "the new row")
            if how in ("stop", "kill"):
                own.stop(signal.SIGTERM if how == "stop" else signal.SIGKILL)
                wait_for(lambda: warnings(p), 20, "it is noticed")
                own.start()
            own.sql("update again set v = 2")
            with client(p) as reader:
                wait_for(lambda: rows(reader, sql) == [(2,)], 10, "the new row")
                wait_for(lambda: not warnings(p), 20, "the log is followed again")
                cached(p, reader, sql)
                own.sql("update again set v = 3")
                wait_for(lambda: rows(reader, sql) == [(3,)], 10, "the new row")


# --- what is refused --------------------------------------------------------------------------------

@pytest.mark.parametrize("settings, names", [
    ({}, "log_bin"),
    (LOGGED | {"binlog_format": "MIXED"}, "binlog_format"),
    (LOGGED | {"binlog_ignore_db": "elsewhere"}, "binlog_ignore_db"),
    (LOGGED | {"binlog_do_db": "shop"}, "binlog_do_db"),
    (LOGGED | {"binlog_optimize_thread_scheduling": "OFF"}, "binlog_optimize_thread_scheduling"),
])
def test_an_origin_whose_log_does_not_tell_all_is_refused_by_the_settings_name(settings, names):
    with MariaDB(settings=settings) as own:
        with pytest.raises(NotReady) as refused:
            proxy(own).start()
        assert names in refused.value.error["message"] and "--invalidation writes" in refused.value.error["hint"]
        assert own.sql("show slave hosts") == "" and not dump_threads(own)


@pytest.mark.parametrize("granted", ["", "replication slave", "replication client"])
def test_missing_privileges_are_named(db, granted):
    db.sql("create or replace user few identified by 'few-secret'; grant all on shop.* to few")
    if granted:
        db.sql(f"grant {granted} on *.* to few")
    with pytest.raises(NotReady) as refused:
        proxy(db, origin_user="few", origin_password="few-secret").start()
    assert "REPLICATION SLAVE and REPLICATION CLIENT" in refused.value.error["message"]
    assert "few-secret" not in str(refused.value)


def test_the_two_privileges_are_enough(db):
    db.sql("create or replace user two identified by 'two-secret'; grant all on shop.* to two;"
           "grant replication slave, replication client on *.* to two")
    sql = table(db, "enough")
    with proxy(db, origin_user="two", origin_password="two-secret") as p, client(p) as reader:
        cached(p, reader, sql)
        db.sql("update enough set v = 1")
        wait_for(lambda: rows(reader, sql) == [(1,)], 10, "the new row")
        assert "sql_log_bin" in p.log()


def test_create_and_doctor_try_the_log(db):
    wants = ("--invalidation", "replication")
    with MariaDB() as silent, Hyperdrive() as hd:
        refused = hd.run("create", "shop", "--connection-string", silent.url(), *wants)
        assert refused.returncode == 1 and "needs log_bin" in refused.stderr and "Nothing was stored" in refused.stderr
        assert not hd.json("list", "--json")
        hd("create", "shop", "--connection-string", silent.url(), *wants, "--no-verify")
        for command in (("test", "shop"), ("doctor", "shop")):
            told = hd.run(*command)
            assert told.returncode == 1 and "log_bin" in told.stdout + told.stderr
        assert hd.run("start", "shop").returncode == 1
        for line in hd("logs", "shop").splitlines():  # of every part of the proxy, in the log's own form
            assert re.match(r"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00 (info|warning|error) ", line), line
        hd("create", "logged", "--connection-string", db.url(), *wants)
        assert "on, binlog_format ROW" in hd("test", "logged")
        wait_for(lambda: not dump_threads(db), 10, "the trial has ended")
