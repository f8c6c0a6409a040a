"""What the random conversations say in SQL: texts with the number of their parameters, by kind.

Chosen so that two databases with the same past answer alike: nothing here tells time, addresses, process or
transaction ids, and whatever gives several rows has an order.
"""

# To be run in one database, of which the others are made with TEMPLATE. `lock_timeout` is set by the rig: a write that
# waits for another client's lock would stop both sides.
SETUP = """
create table t (k int primary key, v text);
create table c (k int primary key, v text, n numeric, b bytea, a int[], j jsonb);
insert into c select n, 'constant ' || n, n / 7.0, decode(repeat('0' || n % 10, n), 'hex'), array[n, null, -n],
    jsonb_build_object('n', n) from generate_series(1, 9) n;
create table own0 (k int, v text); create table own1 (k int, v text); create table own2 (k int, v text);
create view seen as select k, v from t where k < 10;
create function twice(n int) returns int language sql immutable as 'select n * 2';
create function put(n int) returns int language plpgsql as
    $$begin insert into t values (n, 'put'); return n; exception when unique_violation then return -n; end$$;
create function slow() returns int language plpgsql as $$begin raise info 'begun'; perform pg_sleep(50); return 1; end$$;
"""
# Before each sequence.
REFILL = ("select set_config('lock_timeout', '20s', true); delete from t; insert into t select n, 'value ' || n from generate_series(1, 20) n")
# Likewise, where the one before may have touched these rows, or made these tables anew. `d` is what DDL plays with; the
# proxy reads the catalogs again after each bit of DDL, so there is none where none is needed.
REMAKE_ROWS = ["delete from own0", "delete from own1", "delete from own2", "delete from d", "insert into d values (1, 'one'), (2, 'two')"]
REMAKE_TABLES = ["drop table if exists d, d2 cascade", "create table d (a int, b text)",
                 "create or replace view seen as select k, v from t where k < 10"]

READS = [
    ("select $1::int", 1), ("select * from t where k = $1 order by k", 1), ("select k, v from t order by k", 0),
    ("select generate_series(1, 7) as g", 0), ("select 1 / $1::int as q", 1), ("select $1::text as a, $2::text as b", 2),
    ("select count(*) from t", 0), ("select repeat('x', abs($1::int) % 70000) as r", 1), ("values (1, 'one'), (2, 'two')", 0),
    ("select * from c where k = $1", 1), ("select * from c order by k", 0), ("select a, b from d order by a", 0),
    ("select * from d where a > $1::int order by a", 1), ("select $1::numeric + 1, $2::bytea", 2), ("select $1::int[], $2::bool", 2),
    ("select null::int, '', 1.5::float8, '2020-02-29'::date, '{\"a\":[1,null]}'::jsonb", 0), ("select k from seen order by k", 0),
    ("select twice($1::int)", 1), ("select k from t where k < $1 order by k limit $2::int", 2), ("table c order by k", 0),
    ("select c.v, t.v from c join t using (k) order by k", 0), ("select generate_series(1, 2000) as g, 'row'", 0),
    ("select 1 as \"Mixed Case\", 2 as \"Mixed Case\"", 0), ("select", 0), ("select repeat('long ', 30000)", 0),
    ("select v from t where k = $1::int for update", 1), ("select current_setting('timezone'), current_setting('datestyle')", 0),
    ("select exists(select from t where k = $1::int)", 1), ("explain (costs off) select 1", 0),
    ("select $1", 1), ("select k from c where v like 'constant %' order by k desc", 0)]
WRITES = [
    ("insert into t values ($1::int, $2)", 2), ("update t set v = $2 where k = $1::int returning k, v", 2),
    ("delete from t where k = $1::int", 1), ("insert into t select n, 'many' from generate_series(1000, 1100) n", 0),
    ("with gone as (delete from t where k = $1::int returning *) select * from gone", 1), ("update c set v = v where k = $1::int", 1),
    ("insert into t values ($1::int, $2) on conflict (k) do update set v = excluded.v", 2), ("select put($1::int)", 1),
    ("delete from t where k > 100", 0), ("insert into d values ($1::int, $2)", 2), ("truncate own0", 0),
    ("update t set k = k + 1 where k = $1::int", 1)]
ODD = [
    ("selec 1", 0), ("select * from missing", 0), ("", 0), ("-- nothing", 0), ("select $1::int + 'x'::int", 1), (";", 0),
    ("/* a comment */ select 'with ; inside' /* /* nested */ */ -- end", 0), ("select 1; select 2", 0),
    ("select 'unterminated", 0), ("do $$begin raise notice 'noted'; end$$", 0), ("do $$begin raise exception 'raised'; end$$", 0),
    ("select missing_function($1)", 1), ("select $3::int", 3), ("prepare transaction 'x'", 0),
    ("select 1 " + "/* filler */" * 2000, 0)]
TRANSACTION = [
    ("begin", 0), ("commit", 0), ("rollback", 0), ("begin", 0), ("commit", 0), ("rollback", 0), ("savepoint s", 0),
    ("rollback to savepoint s", 0), ("release savepoint s", 0), ("savepoint s2", 0), ("rollback to s2", 0),
    ("start transaction isolation level repeatable read", 0), ("begin read only", 0), ("end", 0), ("abort", 0),
    ("commit and chain", 0), ("rollback and chain", 0), ("set transaction read only", 0), ("begin work", 0)]
CURSORS = [
    ("declare cur cursor for select generate_series(1, 9)", 0), ("declare cur scroll cursor for select k, v from c order by k", 0),
    ("fetch 2 from cur", 0), ("fetch backward 1 from cur", 0), ("fetch all from cur", 0), ("move 1 in cur", 0), ("close cur", 0),
    ("close all", 0)]
DEFINITIONS = [
    ("alter table d add column x int default 7", 0), ("alter table d drop column if exists x", 0),
    ("alter table d alter column b type varchar(40)", 0), ("drop table d", 0), ("create table d (a int, b text)", 0),
    ("create table d2 as select * from d", 0), ("drop table if exists d2", 0), ("alter table d rename column b to bb", 0),
    ("create or replace view seen as select k, v from t where k < 15", 0), ("truncate d", 0), ("create index on d (a)", 0),
    ("comment on table d is 'commented'", 0), ("create temp table tt (a int) on commit drop", 0)]
LOCAL_SETTINGS = [
    ("set local timezone to 'Europe/Paris'", 0), ("show timezone", 0), ("show application_name", 0), ("show statement_timeout", 0),
    ("select set_config('timezone', 'Asia/Tokyo', true)", 0), ("set local statement_timeout to '50s'", 0),
    ("set local app.local to 'here'", 0), ("set local role reader", 0), ("select now()::date is null", 0),
    ("set local datestyle to 'German'", 0), ("set local client_encoding to 'LATIN1'", 0), ("select 'é' as \"é\", $1::text", 1),
    ("set local standard_conforming_strings to off", 0), ("select 'a\\\\b', E'c\\\\d'", 0), ("set local session authorization reader", 0), ("set nonsense to 1", 0), ("set local timezone to 'No/Where'", 0)]
# What only a session that keeps things may say. A custom setting is read with nullif(): Postgres never forgets that one
# was set in a connection, and says '' there where it says NULL in another (docs/troubleshooting.md).
SETTINGS = LOCAL_SETTINGS + [
    ("set timezone to 'Asia/Tokyo'", 0), ("reset timezone", 0), ("set datestyle to 'SQL, DMY'", 0), ("reset datestyle", 0),
    ("set application_name to 'other'", 0), ("reset application_name", 0), ("set statement_timeout to '55s'", 0),
    ("select set_config('timezone', 'UTC', false)", 0), ("set role reader", 0), ("reset role", 0), ("set role none", 0),
    ("set search_path to pg_catalog, public", 0), ("reset search_path", 0), ("set app.kept to 'kept'", 0),
    ("select nullif(current_setting('app.kept', true), '')", 0), ("set session characteristics as transaction read only", 0),
    ("set session characteristics as transaction read write", 0), ("show transaction_read_only", 0),
    ("set client_min_messages to error", 0), ("set timezone to default", 0), ("select current_user, session_user", 0),
    ("set intervalstyle to 'iso_8601'", 0), ("select '1 day 2 hours'::interval", 0), ("set bytea_output to 'escape'", 0)]
KEPT = [
    ("reset all", 0), ("discard all", 0), ("discard temp", 0), ("discard plans", 0), ("discard sequences", 0),
    ("prepare sa as select 1", 0), ("prepare sb(int) as select * from t where k = $1", 0), ("execute sa", 0), ("execute sb(2)", 0),
    ("deallocate sa", 0), ("deallocate prepare sb", 0), ("deallocate all", 0), ("deallocate a", 0), ("deallocate missing", 0),
    ("declare h cursor with hold for select generate_series(1, 5)", 0), ("fetch 2 from h", 0), ("close h", 0),
    ("listen ch", 0), ("unlisten ch", 0), ("unlisten *", 0), ("notify ch, 'note'", 0),
    ("select pg_advisory_lock($1::int)", 1), ("select pg_advisory_unlock($1::int)", 1), ("select pg_advisory_unlock_all()", 0),
    ("select pg_try_advisory_lock($1::int)", 1), ("create temp table tt (a int)", 0), ("insert into tt values ($1::int)", 1),
    ("select a from tt order by a", 0), ("drop table if exists tt", 0)]
# Habits that every session may have.
HABITS = [
    ("discard all", 0), ("reset all", 0), ("deallocate a", 0), ("deallocate all", 0), ("unlisten *", 0), ("notify ch, 'note'", 0),
    ("discard plans", 0), ("select pg_advisory_xact_lock($1::int)", 1), ("select pg_advisory_unlock_all()", 0), ("reset role", 0),
    ("set constraints all deferred", 0)]
# Refused by session_features = hyperdrive, which ends a sequence.
REFUSED = [("listen ch", 0), ("prepare sa as select 1", 0), ("declare h cursor with hold for select 1", 0)]
SIMPLE = [
    "select 1; select 2", "begin; select 1", "select 1; commit", "begin; insert into t values (500, 'x'); commit",
    "select 1; select 1/0; select 3", "select k from t where k < 4 order by k; select 'b'", "begin; select 1/0; commit",
    "insert into t values (700, 'implicit'); select 1/0", "", ";", "select 1; begin; select 2", "begin; commit; begin",
    "insert into t values (701, 'a'); commit; insert into t values (701, 'b')", "savepoint s; select 1", ";;select 1;;",
    "begin; savepoint s; select 1/0; rollback to s; select 2", "select 1; rollback; select 2", "update t set v = 'all'; rollback",
    "begin; set local timezone to 'UTC'; show timezone; commit; select 3",
    "begin; set local statement_timeout to 150; select pg_sleep(9); commit", "begin read only; select 1; insert into t values (9, 'x')",
    "select repeat('y', 100000); select 1", "begin; declare cur cursor for select 1; fetch all from cur; commit"]
SIMPLE_DEFINITIONS = ["alter table d add column y int; select * from d order by a",
                      "create table d2 (z int); insert into d2 values (1); select * from d2; drop table d2"]
# Run by several clients at the same moment, each on what is its own or nobody's.
TOGETHER_READS = [
    ("select k, v from own{} order by k", 0), ("select count(*) from own{}", 0), ("select * from c where k = $1", 1),
    ("select $1::text || '{}'", 1), ("select generate_series(1, 300) as g, '{}'", 0), ("select 1 / $1::int", 1), ("select {} from missing", 0)]
TOGETHER_WRITES = [
    ("insert into own{} values ($1::int, 'x')", 1), ("delete from own{} where k = $1::int", 1), ("update own{} set k = k + 1", 0)]

VALUES = [b"1", b"2", b"3", b"15", b"0", b"-5", b"100", b"abc", b"", b"900", None, b"\x00\x00\x00\x05", b"7" * 9, b"{1,2}", b"t"]
LARGE = b"z" * 70_000
