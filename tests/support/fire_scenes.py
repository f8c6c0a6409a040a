"""Ways in which a write reaches what a cached SELECT read: tables, one write that raises a version, the reads that show it.

    Scene.setup     SQL, once, past the proxy; the version is 0 afterwards
    Scene.write     write(connection, version), over one pgwire connection; returns when the server has acknowledged it
    Scene.reads     each gives the version as the last column of its only row ("= 1" is sent as a parameter by some drivers)
    Scene.streamed  whether logical decoding tells of such a write (it is silent about catalogs)
    Scene.cached    whether hits are to be expected between two writes
"""

from dataclasses import dataclass
from typing import Callable

from . import pgwire
from .pgwire import bind, copy_data, execute, parse


@dataclass(frozen=True)
class Scene:
    name: str
    setup: str
    write: Callable
    reads: tuple
    streamed: bool = True
    cached: bool = True


def one(sql: str) -> Callable:
    """One simple query; {v} is the version."""
    return lambda c, v: c.query(sql.replace("{v}", str(v)))


def each(*statements: str) -> Callable:
    """Several simple queries, each waited for."""
    def write(c, v):
        for sql in statements:
            c.query(sql.replace("{v}", str(v)))
    return write


def copied(table: str) -> Callable:
    def write(c, v):
        c.send(pgwire.query(f"copy {table} (id, v) from stdin"))
        c.until("G")
        c.send(copy_data(f"{v + 1}\t{v}\n".encode()), pgwire.COPY_DONE)
        assert not [body for kind, body in c.until_ready() if kind == "E"]
    return write


def named(sql: str) -> Callable:
    """A protocol-level statement, parsed once a connection, then only bound."""
    def write(c, v):
        name = "w_" + sql.split()[1]
        if name not in c.__dict__.setdefault("parsed", set()):
            c.send(parse(name, sql, (23,)))
            c.parsed.add(name)
        c.send(bind("", name, [str(v)]), execute(), pgwire.SYNC)
        assert not [body for kind, body in c.until_ready() if kind == "E"]
    return write


def split(sql: str) -> Callable:
    """Two Executes before one Sync: acknowledged together."""
    def write(c, v):
        c.send(parse("", sql, (23,)), bind("", "", ["0"]), execute(), bind("", "", [str(v)]), execute(), pgwire.SYNC)
        assert not [body for kind, body in c.until_ready() if kind == "E"]
    return write


def table(name: str, more: str = "") -> str:
    return f"create table {name} (id int primary key, v int {more}); insert into {name} values (1, 0);"


def row(name: str) -> str:
    return f"select v from {name} where id = 1"


def follower(name: str, body: str = "") -> str:
    """A volatile function {name}_f(int) that writes the table {name}_b and returns its argument."""
    return table(f"{name}_a") + table(f"{name}_b") + (
        f"create function {name}_f(n int) returns int language plpgsql as "
        f"$$ begin update {name}_b set v = n; return n; end $$;")


def called(name: str, *statements: str, setup: str = "") -> Scene:
    """The statement names only {name}_a; {name}_b is written by the function it leads to."""
    return Scene(name, follower(name) + setup, each(*statements), (row(f"{name}_b"),))


TRIGGER = """create function {n}_t() returns trigger language plpgsql as
             $$ begin update {n}_b set v = new.v; return new; end $$;"""


def triggered(name: str, timing: str, setup: str, *statements: str) -> Scene:
    """A user trigger writes {name}_b."""
    made = table(f"{name}_b") + setup + TRIGGER.replace("{n}", name) + f"create {timing} execute function {name}_t();"
    return Scene(name, made, each(*statements), (row(f"{name}_b"),))


PLAIN = (
    Scene("single", table("single"), one("update single set v = {v} where id = 1"),
          (row("single"), "select max(a.v) from single a join single b using (id)",
           "with s as (select v from single) select v from s", "select (select v from single where id = 1)")),
    Scene("named", table("named"), named("update named set v = $1"), (row("named"),)),
    Scene("split", table("split"), split("update split set v = $1"), (row("split"),)),
    Scene("sqlprep", table("sqlprep"), each("prepare sp(int) as update sqlprep set v = $1", "execute sp({v})", "deallocate sp"),
          (row("sqlprep"),)),
    Scene("quoted", table('"Odd ""Name"'), one('update "Odd ""Name" set v = {v}'), (row('"Odd ""Name"'),)),
    Scene("rows", table("rows_") + "insert into rows_ select n, 0 from generate_series(2, 20) n;",
          each("begin", "update rows_ set v = {v} where id <= 10", "update rows_ set v = {v} where id > 10", "commit"),
          ("select case when min(v) = max(v) then max(v) else -1 end from rows_", row("rows_"))),
    Scene("implicit", table("imp_a") + table("imp_b"), one("update imp_a set v = {v}; update imp_b set v = {v}"),
          (row("imp_a"), row("imp_b"), "select least(a.v, b.v) from imp_a a, imp_b b")),
    Scene("savepoint", table("savep"), each("begin", "savepoint s", "update savep set v = -1", "rollback to s",
                                           "update savep set v = {v}", "release s", "commit and chain", "commit"), (row("savep"),)),
    Scene("upsert", table("upsert"), one("insert into upsert values (1, {v}) on conflict (id) do update set v = excluded.v"),
          (row("upsert"),)),
    Scene("truncate", table("trunc"), one("begin; truncate trunc; insert into trunc values (1, {v}); commit"), (row("trunc"),)),
    Scene("trunc_fk", table("tf_a") + "create table tf_b (a int references tf_a, v int); insert into tf_b values (1, 0);",
          one("begin; truncate tf_a cascade; insert into tf_a values (1, {v}); insert into tf_b values (1, {v}); commit"),
          ("select max(v) from tf_b", row("tf_a"))),
    Scene("copy", table("copied"), copied("copied"), ("select max(v) from copied",)),
    Scene("merge", table("merged"), one("merge into merged m using (values (1, {v})) s (id, v) on m.id = s.id "
                                        "when matched then update set v = s.v"), (row("merged"),)),
    Scene("cte", table("cte_a"), one("with w as (update cte_a set v = {v} returning v) select v from w"), (row("cte_a"),)),
    Scene("cte_deep", table("cte_b") + table("cte_c"),
          one("with w as (update cte_b set v = {v} returning v) update cte_c set v = w.v from w"), (row("cte_b"), row("cte_c"))),
    Scene("explain", table("expl"), one("explain analyze update expl set v = {v}"), (row("expl"),)),
    Scene("cursor", table("curs"), one("begin; declare k cursor for select * from curs for update; fetch k; "
                                       "update curs set v = {v} where current of k; commit"), (row("curs"),)),
    Scene("two_phase", table("phase"), each("begin", "update phase set v = {v}", "prepare transaction 'fire'",
                                            "commit prepared 'fire'"), (row("phase"),), cached=False),
    Scene("rolled", table("rolled"), each("begin", "update rolled set v = -5", "rollback", "update rolled set v = {v}"),
          (row("rolled"),)),
)

REACH = (
    Scene("fk_update", "create table fu_a (id int primary key, v int unique); create table fu_b (id int, v int unique "
          "references fu_a (v) on update cascade); create table fu_c (id int, v int references fu_b (v) on update cascade);"
          "insert into fu_a values (1, 0); insert into fu_b values (1, 0); insert into fu_c values (1, 0);",
          one("update fu_a set v = {v}"), (row("fu_b"), row("fu_c"))),
    Scene("fk_delete", "create table fd_a (id int primary key); create table fd_b (a int references fd_a on delete cascade);"
          "insert into fd_a select generate_series(0, 2000); insert into fd_b select generate_series(0, 2000);",
          one("delete from fd_a where id < {v}"), ("select min(a) from fd_b",)),
    Scene("fk_null", "create table fn_a (id int primary key); create table fn_b (a int references fn_a on delete set null);"
          "insert into fn_a select generate_series(0, 2000); insert into fn_b select generate_series(0, 2000);",
          one("delete from fn_a where id < {v}"), ("select min(a) from fn_b",)),
    Scene("fk_part", "create table fp_a (id int primary key) partition by range (id); create table fp_a1 partition of fp_a "
          "default; create table fp_b (a int references fp_a on delete cascade) partition by range (a);"
          "create table fp_b1 partition of fp_b default; insert into fp_a select generate_series(0, 2000);"
          "insert into fp_b select generate_series(0, 2000);",
          one("delete from fp_a1 where id < {v}"), ("select min(a) from fp_b", "select min(a) from fp_b1")),
    Scene("view", table("vw_t") + "create view vw as select * from vw_t; create view vw2 as select * from vw where id > 0;",
          one("update vw2 set v = {v}"), (row("vw_t"), row("vw"), row("vw2"))),
    Scene("view_fk", "create table vf_a (id int primary key, v int unique); create view vf as select * from vf_a; create table vf_b"
          " (id int, v int references vf_a (v) on update cascade); create view vf2 as select * from vf_b;"
          "insert into vf_a values (1, 0); insert into vf_b values (1, 0);", one("update vf set v = {v}"), (row("vf_b"), row("vf2"))),
    Scene("part_root", "create table pr (id int, v int) partition by range (id); create table pr_1 partition of pr for values "
          "from (0) to (10) partition by list (id); create table pr_1a partition of pr_1 for values in (1);"
          "insert into pr values (1, 0);", one("update pr set v = {v}"), (row("pr_1a"), row("pr_1"), row("pr"))),
    Scene("part_leaf", "create table pl (id int, v int) partition by range (id); create table pl_1 partition of pl for values "
          "from (0) to (10) partition by list (id); create table pl_1a partition of pl_1 for values in (1);"
          "insert into pl values (1, 0);", one("update pl_1a set v = {v}"), (row("pl"), row("pl_1"), row("pl_1a"))),
    Scene("part_move", "create table pm (v int) partition by hash (v); create table pm_0 partition of pm for values with (modulus "
          "2, remainder 0); create table pm_1 partition of pm for values with (modulus 2, remainder 1); insert into pm values (0);",
          one("update pm set v = {v}"), ("select max(v) from (select v from pm_0 union all select v from pm_1) x",
                                         "select max(v) from pm")),
    Scene("inherit_up", table("iu") + "create table iu_c () inherits (iu); delete from iu; insert into iu_c values (1, 0);",
          one("update iu_c set v = {v}"), (row("iu"), row("iu_c"))),
    Scene("inherit_down", table("idn") + "create table idn_c () inherits (idn); create table idn_d () inherits (idn_c);"
          "delete from idn; insert into idn_d values (1, 0);", one("update idn set v = {v}"), (row("idn_d"), row("idn_c"))),
    Scene("rule_also", table("ra") + table("ra_b") + "create rule r as on update to ra do also update ra_b set v = new.v;",
          one("update ra set v = {v}"), (row("ra_b"), row("ra"))),
    Scene("rule_instead", table("ri") + table("ri_b") + table("ri_c") + "create rule r as on update to ri_b do also update ri_c "
          "set v = new.v; create rule r as on insert to ri do instead update ri_b set v = new.v;",
          one("insert into ri values (5, {v})"), (row("ri_b"), row("ri_c"))),
    triggered("trg", "trigger t after update on trg_a for each row", table("trg_a"), "update trg_a set v = {v}"),
    triggered("trg_copy", "trigger t before insert on trg_copy_a for each row", "create table trg_copy_a (v int);",
              "insert into trg_copy_a values ({v})"),
    triggered("trg_merge", "trigger t after update on trg_merge_a for each row", table("trg_merge_a"),
              "merge into trg_merge_a m using (values (1, {v})) s (id, v) on m.id = s.id when matched then update set v = s.v"),
    triggered("trg_instead", "trigger t instead of update on trg_instead_v for each row",
              "create view trg_instead_v as select 1 as id, 0 as v;", "update trg_instead_v set v = {v}"),
    triggered("trg_deferred", "constraint trigger t after update on trg_deferred_a deferrable initially deferred for each row",
              table("trg_deferred_a"), "begin", "update trg_deferred_a set v = {v}", "commit"),
    triggered("trg_leaf", "trigger t after update on trg_leaf_1 for each row", "create table trg_leaf_a (id int, v int) partition "
              "by list (id); create table trg_leaf_1 partition of trg_leaf_a for values in (1); insert into trg_leaf_a values (1, 0);",
              "update trg_leaf_a set v = {v}"),
    triggered("trg_child", "trigger t after update on trg_child_1 for each row", table("trg_child_a") + "create table trg_child_1 () "
              "inherits (trg_child_a); insert into trg_child_1 values (2, 0);", "update trg_child_a set v = {v}"),
    triggered("trg_fk", "trigger t after update on trg_fk_1 for each row", "create table trg_fk_a (v int primary key);"
              "create table trg_fk_1 (v int references trg_fk_a on update cascade); insert into trg_fk_a values (0);"
              "insert into trg_fk_1 values (0);", "update trg_fk_a set v = {v}"),
    triggered("trg_view", "trigger t after update on trg_view_a for each row", table("trg_view_a") + "create view trg_view_v as "
              "select * from trg_view_a;", "update trg_view_v set v = {v}"),
    triggered("trg_rule", "trigger t after update on trg_rule_1 for each row", table("trg_rule_1") + "create table trg_rule_a (v int);"
              "create rule r as on insert to trg_rule_a do instead update trg_rule_1 set v = new.v;",
              "insert into trg_rule_a values ({v})"),
)

CALLED = (
    called("fn_select", "select fn_select_f({v})"),
    called("fn_from", "select * from fn_from_f({v})"),
    called("fn_values", "values (fn_values_f({v}))"),
    called("fn_update", "update fn_update_a set v = fn_update_f({v})"),
    called("fn_insert", "insert into fn_insert_a select 100 + {v}, fn_insert_f({v})"),
    called("fn_returning", "update fn_returning_a set v = {v} returning fn_returning_f(v)"),
    called("fn_where", "delete from fn_where_a where id = 1 and fn_where_f({v}) < 0"),
    called("fn_view", "update fn_view_a set v = {v}", "select * from fn_view_v",
           setup="create view fn_view_v as select fn_view_f(v) from fn_view_a;"),
    called("fn_default", "insert into fn_default_d (v) values ({v})",
           setup="create sequence fn_default_s; create table fn_default_d (v int, x int default "
                 "fn_default_f(nextval('fn_default_s')::int));"),
    called("fn_check", "update fn_check_d set v = {v}",
           setup="create table fn_check_d (v int check (fn_check_f(v) >= 0)); insert into fn_check_d values (0);"),
    called("fn_operator", "select 0 ~~~> {v}",
           setup="create function fn_operator_o(int, int) returns int language sql as 'select fn_operator_f($2)';"
                 "create operator ~~~> (leftarg = int, rightarg = int, function = fn_operator_o);"),
    called("fn_aggregate", "select fn_aggregate_g({v})",
           setup="create function fn_aggregate_s(int, int) returns int language sql as 'select fn_aggregate_f($2)';"
                 "create aggregate fn_aggregate_g(int) (sfunc = fn_aggregate_s, stype = int, initcond = '0');"),
    called("fn_field", "select (t).fn_field_w from fn_field_a t",
           setup="create function fn_field_w(t fn_field_a) returns int language sql as "
                 "'update fn_field_b set v = v + 1 returning v';"),
    called("fn_copy", "create table fn_copy_{v} as select fn_copy_f({v})",
           "drop table fn_copy_{v}"),
    called("fn_cursor", "begin", "declare k cursor for select fn_cursor_f({v})", "fetch k", "commit"),
    called("fn_hold", "declare h cursor with hold for select fn_hold_f({v})", "fetch h", "close h"),
    called("fn_execute", "prepare fx as select fn_execute_f({v})", "execute fx", "deallocate fx"),
    called("fn_explain", "explain analyze select fn_explain_f({v})"),
    called("fn_do", "do $$ begin update fn_do_b set v = {v}; end $$"),
    called("fn_call", "call fn_call_p({v})",
           setup="create procedure fn_call_p(n int) language plpgsql as $$ begin update fn_call_b set v = n; commit; end $$;"),
    called("fn_block", "begin", "select fn_block_f({v})", "commit"),
    called("fn_lying", "select fn_lying_l({v})",
           setup="create function fn_lying_l(n int) returns int language sql volatile as 'select fn_lying_f($1)';"),
    called("fn_stable", "select fn_stable_l({v})",
           setup="create function fn_stable_l(n int) returns int language plpgsql stable as "
                 "$$ begin perform fn_stable_f(n); return n; end $$;"),
    called("fn_dynamic", "select fn_dynamic_l({v})",
           setup="create function fn_dynamic_l(n int) returns int language plpgsql immutable as "
                 "$$ begin execute 'select fn_dyn' || 'amic_f($1)' using n; return n; end $$;"),
    called("fn_generated", "insert into fn_generated_t (v) values ({v})",
           setup="create function fn_generated_l(n int) returns int language sql immutable as 'select fn_generated_f($1)';"
                 "create table fn_generated_t (v int, w int generated always as (fn_generated_l(v)) stored);"),
    called("fn_index", "insert into fn_index_t (v) values ({v})",
           setup="create table fn_index_t (v int); create function fn_index_l(n int) returns int language plpgsql immutable as "
                 "$$ begin return fn_index_f(n); end $$; create index on fn_index_t (fn_index_l(v));"),
    Scene("fn_reads", table("fn_reads_t") + "create table fn_reads_w as select 1 as id; create function fn_reads_l(int) returns int "
          "language sql immutable as 'select v from fn_reads_t where id = $1';", one("update fn_reads_t set v = {v}"),
          ("select fn_reads_l(id) as v from fn_reads_w where id = 1",), cached=False),
)

# Their functions are nowhere in the text, so that with one of them in the database every write counts for all tables.
CONVERTED = (
    called("fn_domain", "update fn_domain_a set v = ({v}::fn_domain_d)::int",
           setup="create domain fn_domain_d as int check (fn_domain_f(value) >= 0);"),
    called("fn_domain_select", "select {v}::fn_domain_select_d",
           setup="create domain fn_domain_select_d as int check (fn_domain_select_f(value) >= 0);"),
    called("fn_cast", "select row({v})::fn_cast_t::int",
           setup="create type fn_cast_t as (n int); create function fn_cast_c(fn_cast_t) returns int language sql as "
                 "'select fn_cast_f($1.n)'; create cast (fn_cast_t as int) with function fn_cast_c(fn_cast_t);"),
    called("fn_domain_column", "update fn_domain_column_c set v = {v}",
           setup="create domain fn_domain_column_d as int check (fn_domain_column_f(value) >= 0); create table "
                 "fn_domain_column_c (v fn_domain_column_d); insert into fn_domain_column_c values (0);"),
    called("fn_cast_column", "update fn_cast_column_a set v = (select c::int from fn_cast_column_c)",
           setup="create type fn_cast_column_t as enum ('x'); create table fn_cast_column_c (c fn_cast_column_t);"
                 "insert into fn_cast_column_c values ('x'); create function fn_cast_column_g(fn_cast_column_t) returns int "
                 "language sql as 'update fn_cast_column_b set v = v + 1 returning v'; create cast (fn_cast_column_t as int) "
                 "with function fn_cast_column_g(fn_cast_column_t);"),
    called("fn_cast_select", "select c::int from fn_cast_select_c",
           setup="create type fn_cast_select_t as enum ('x'); create table fn_cast_select_c (c fn_cast_select_t);"
                 "insert into fn_cast_select_c values ('x'); create function fn_cast_select_g(fn_cast_select_t) returns int "
                 "language sql as 'update fn_cast_select_b set v = v + 1 returning v'; create cast (fn_cast_select_t as int) "
                 "with function fn_cast_select_g(fn_cast_select_t);"),
    Scene("cast_lookup", table("cast_lookup_a") + "create type cast_lookup_t as enum ('x'); create table cast_lookup_c (id int, "
          "c cast_lookup_t); insert into cast_lookup_c values (1, 'x'); create function cast_lookup_g(cast_lookup_t) returns int "
          "stable language sql as 'select v from cast_lookup_a'; create cast (cast_lookup_t as int) with function "
          "cast_lookup_g(cast_lookup_t);", one("update cast_lookup_a set v = {v}"),
          ("select c::int from cast_lookup_c where id = 1",), cached=False),
)

DDL = (
    Scene("add_column", "create table ac (id int); insert into ac values (1);", one("alter table ac add column c{v} int default {v}"),
          ("select * from ac",),
          streamed=False),
    Scene("recreate", "create table rec as select 1 as id, 0 as v;",
          one("begin; drop table rec; create table rec as select 1 as id, {v} as v; commit"), (row("rec"),), streamed=False),
    Scene("swap", "create table sw as select 1 as id, 0 as v;",
          one("create table sw_new as select 1 as id, {v} as v; begin; drop table sw; alter table sw_new rename to sw; commit"),
          (row("sw"),), streamed=False),
    Scene("replace_view", "create table rv as select 1 as id; create view rv_v as select id, 0 as v from rv;",
          one("create or replace view rv_v as select id, {v} as v from rv"), (row("rv_v"),), streamed=False),
    Scene("replace_fn", "create table rf as select 1 as id; create function rf_f() returns int immutable language sql as 'select 0';",
          one("create or replace function rf_f() returns int immutable language sql as 'select {v}'"),
          ("select rf_f() as v from rf where id = 1",), streamed=False),
    Scene("enum", "create type en as enum ('0'); create table en_t as select 1 as id, '0'::en as v;",
          one("do $$ begin execute format('alter type en rename value %L to ''{v}''', (select v from en_t)); end $$"),
          ("select v::text from en_t where id = 1",), streamed=False),
    Scene("column_type", "create table ct (id int, v int); insert into ct values (1, 0);",
          one("alter table ct alter column v type int using {v}"), (row("ct"),), streamed=False),
    Scene("matview", table("mv_t") + "create materialized view mv as select * from mv_t; create view mv_v as select * from mv;",
          each("update mv_t set v = {v}", "refresh materialized view mv"), (row("mv"), row("mv_v")), streamed=False),
    Scene("matview_concurrently", table("mc_t") + "create materialized view mc as select * from mc_t; create unique index on mc (id);",
          each("update mc_t set v = {v}", "refresh materialized view concurrently mc"), (row("mc"),), streamed=False),
    Scene("attach", "create table at (id int, v int) partition by list (v); create table at_0 partition of at for values in (0);"
          "insert into at values (1, 0);",
          each("create table at_{v} as select 1 as id, {v} as v", "alter table at attach partition at_{v} for values in ({v})"),
          ("select max(v) from at", "select max(v) from at where id = 1"), streamed=False),
    Scene("attach_written", "create table aw (id int, v int) partition by list (id); create table aw_0 partition of aw for values in"
          " (0); create table aw_1 (id int, v int); insert into aw_1 values (1, 0);"
          "alter table aw attach partition aw_1 for values in (1);",
          each("alter table aw detach partition aw_1", "update aw_1 set v = {v}", "alter table aw attach partition aw_1 for values in (1)"),
          ("select coalesce(max(v), 9999) from aw", row("aw_1")), streamed=False),
    Scene("detach", "create table dt (id int, v int) partition by list (v); create table dt_0 partition of dt for values in (0);"
          "insert into dt values (1, 0);",
          each("create table dt_{v} partition of dt for values in ({v})", "insert into dt values (1, {v})",
               "do $$ declare p name; begin select inhrelid::regclass into p from pg_inherits where inhparent = 'dt'::regclass and "
               "inhrelid <> 'dt_{v}'::regclass; execute 'alter table dt detach partition ' || p; end $$"),
          ("select min(v) from dt",), streamed=False),
    Scene("inherit", "create table ih (id int, v int); insert into ih values (1, 0);",
          each("create table ih_{v} as select 1 as id, {v} as v", "alter table ih_{v} inherit ih"),
          ("select max(v) from ih",), streamed=False),
    Scene("set_schema", "create schema ss_s; create table ss as select 1 as id, 0 as v;",
          each("create table ss_s.ss as select 1 as id, {v} as v",
               "begin; drop table ss; alter table ss_s.ss set schema public; commit"), (row("ss"),), streamed=False),
    Scene("in_block", "create table ib (id int, v int); insert into ib values (1, 0);",
          each("begin", "alter table ib add column x int", "rollback", "begin", "savepoint s", "drop table ib", "rollback to s",
               "alter table ib alter column v type int using {v}", "commit"), (row("ib"),), streamed=False),
    Scene("in_function", "create table if_t (id int); insert into if_t values (1); create view if_v as select id, 0 as v from if_t;"
          "create function if_f(n int) returns void language plpgsql as $$ begin execute format('create or replace view if_v as "
          "select id, %s as v from if_t', n); end $$;", one("select if_f({v})"), (row("if_v"),), streamed=False),
    Scene("late_trigger", table("lt_a") + table("lt_b") + "create function lt_f() returns trigger language plpgsql as "
          "$$ begin update lt_b set v = new.v; return new; end $$;",
          each("create trigger t after update on lt_a for each row execute function lt_f()", "update lt_a set v = {v}",
               "drop trigger t on lt_a"), (row("lt_b"),), streamed=False),
    Scene("late_rule", table("lr_a") + table("lr_b"),
          each("create or replace rule r as on update to lr_a do also update lr_b set v = new.v", "update lr_a set v = {v}",
               "drop rule r on lr_a"), (row("lr_b"),), streamed=False),
    Scene("late_key", table("lk_a") + "create table lk_b (a int); insert into lk_a select n, 0 from generate_series(2, 40) n;"
          "insert into lk_b select generate_series(1, 40);",
          each("alter table lk_b add constraint c foreign key (a) references lk_a on delete cascade", "delete from lk_a where id <= {v}",
               "alter table lk_b drop constraint c"), ("select min(a) - 1 from lk_b",), streamed=False),
    Scene("policy", table("po") + "grant select on po to public;",
          each("update po set v = {v}", "alter table po enable row level security", "create policy p on po using (true)",
               "drop policy p on po", "alter table po disable row level security"), (row("po"),), streamed=False),
)

SCENES = PLAIN + REACH + CALLED + DDL   # made together; CONVERTED apart
