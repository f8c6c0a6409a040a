-- What psql does besides sending statements; its output is compared with that of a direct connection.
\set VERBOSITY verbose
\pset null NULL
create type mood as enum ('sad', 'ok');
create domain posint as int check (value > 0);
create table kinds (id serial primary key, name text not null unique);
create table items (id bigserial primary key, kind int references kinds, m mood default 'ok', n posint, j jsonb, a int[]);
create index on items (kind);
create view named as select i.id, k.name from items i join kinds k on k.id = i.kind;
create function add(int, int) returns int language sql immutable as 'select $1 + $2';
create table part (id int, d int) partition by range (d);
create table part1 partition of part for values from (0) to (100);
comment on table items is 'the items';
insert into kinds (name) select 'kind' || g from generate_series(1, 10) g;
insert into items (kind, n, j, a) select 1 + g % 10, g + 1, jsonb_build_object('k', g), array[g] from generate_series(1, 200) g;
\d
\d+ items
\d named
\dt+ k*
\di
\dv
\ds
\df add
\sf add
\sv named
\dT+ mood
\dD
\dn
\dp items
\dC int4
\dF
\do @>
\dRp
\des
\dx
\dy
\dP+
\dL
\dX
\dc
\dconfig work_mem
\dAc btree int4
\encoding LATIN1
select 'ä' as umlaut;
\encoding UTF8
select 1 as one, 'x' as two \gset v_
\echo :v_one :v_two
select $1::int + $2::int as sum \bind 3 4 \g
select $1::text as s, add(1, 2) \bind 'it''s' \gx
select 'select ' || g from generate_series(1, 3) g \gexec
select kind, m, count(*) from items group by 1, 2 order by 1 \crosstabview kind m
select 1 / 0;
\errverbose
select id, m, a from items \gdesc
select 1\; select 2\; select 3;
\set FETCH_COUNT 7
select id from items order by id limit 30;
\unset FETCH_COUNT
\set ON_ERROR_ROLLBACK on
begin;
insert into kinds (name) values ('first');
select 1 / 0;
insert into kinds (name) values ('second');
commit;
select count(*) from kinds;
\unset ON_ERROR_ROLLBACK
\set AUTOCOMMIT off
insert into kinds (name) values ('gone');
rollback;
select count(*) from kinds;
commit;
\set AUTOCOMMIT on
\copy (select id, name from kinds order by id limit 3) to stdout with csv header
create table copied (name text);
copy copied from stdin;
a
b
\.
select count(*) from copied;
copy copied (name) from stdin;
a	b	c
\.
\copy copied from program 'seq 1 1000'
select count(*) from copied;
\copy copied to program 'wc -l'
drop table items, kinds, part, copied cascade;
drop function add;
drop domain posint;
drop type mood;
