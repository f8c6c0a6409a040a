"""Writes too long for the grammar to be asked about are read by their words: no answer outlives them, few end without need."""

import pytest

from support.pgwire import Connection
from support.postgres import Postgres
from support.proxy import Proxy

SETUP = """
create table item (id int primary key, v int, temp int);
create table other (id int primary key, v int);
create table part (item int references item on delete cascade on update cascade, v int);
create table split (id int, v int) partition by list (id);
create table split1 partition of split default;
create view shown as select id, v, temp from item;
create function noting(n int) returns int language plpgsql volatile as
  $$begin insert into other values (n, n); return n; end$$;
create view noted as select noting(77) as n;
"""
COUNTS = {name: f"select count(*), sum(v) from {name}" for name in ("item", "other", "part", "split", "split1", "shown")}

# What is written, the tables whose answers end with it, whether those are all.
WRITES = {
    "values": ("insert into item values (10, 10)", ["item", "shown"], True),
    "a column named temp": ("insert into item (id, temp) values (11, 1)", ["item", "shown"], True),
    "upsert": ("insert into item values (1, 5) on conflict (id) do update set v = excluded.v", ["item", "shown", "part"], True),
    "returning": ("insert into public.item values (12, 12) returning id, item.v", ["item", "shown"], True),
    "quoted": ('insert into "item" values (13, now()::date - now()::date)', ["item", "shown"], True),
    "through a view": ("insert into shown values (14, 14)", ["item", "shown"], False),
    "a partition": ("insert into split values (15, 15)", ["split", "split1"], True),
    "a function that writes": ("insert into item values (16, noting(16))", ["item", "other"], False),
    "a view that writes": ("insert into item select n from noted", ["item", "other"], False),
    "a subquery that writes": ("insert into item values (17, (select n from noted))", ["item", "other"], False),
    "an upsert that reads": ("insert into item values (1, 6) on conflict (id) do update set v = (select n + 1 from noted)",
                             ["item", "other"], False),
    "update": ("update item set temp = 3, v = 33 where id = 1", ["item", "shown"], False),
    "delete": ("delete from item where id = 1", ["item", "part"], False),
    "merge": ("merge into item using other on item.id = other.id when not matched then insert values (other.id, 9)", ["item"], False),
    "with": ("with w as (delete from part returning v) insert into item select 50, v from w", ["item", "part"], False),
}


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        yield pg


@pytest.fixture(scope="module")
def proxy(pg):
    pg.psql(SETUP, user="app")
    with Proxy(pg, caching={"disabled": False}, origin_connection_limit=3, local={"invalidation": "writes", "workers": 1}) as p:
        p.wait_known()
        yield p


def hits(proxy, c, sql):
    before = proxy.stats()["cache"]["hit"]
    answer = c.query(sql)
    return proxy.stats()["cache"]["hit"] > before, answer


@pytest.mark.parametrize("size", [9_000, 70_000, 1_100_000])
@pytest.mark.parametrize("write", WRITES)
def test_no_answer_outlives_a_long_write(pg, proxy, write, size):
    sql, ended, all_of_them = WRITES[write]
    pg.psql("truncate item, other, part, split; insert into item values (1, 1); insert into part values (1, 1);"
            "insert into other values (2, 2)", user="app")
    assert proxy.admin("POST", "/v1/purge", '{"all": true}')[0] == 200
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as writer:
        for read in COUNTS.values():
            c.query(read)
            assert hits(proxy, c, read)[0]
        writer.query(sql + "/*" + " " * size + "*/")
        with Connection.open(pg.url()) as direct:
            for name, read in COUNTS.items():
                hit, answer = hits(proxy, c, read)
                assert answer == direct.query(read), name
                assert not (hit and name in ended)
                if all_of_them and name not in ended:
                    assert hit, name
