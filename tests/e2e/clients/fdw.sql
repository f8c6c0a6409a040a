-- Another server as a client: postgres_fdw and dblink. Run with psql -v host, port, user, password, dbname.
\set VERBOSITY terse
create extension postgres_fdw;
create extension dblink;
create server far foreign data wrapper postgres_fdw
  options (host :'host', port :'port', dbname :'dbname', use_remote_estimate 'true', fetch_size '10');
create user mapping for current_user server far options (user :'user', password :'password');
create schema far;
import foreign schema public limit to (fdw_kinds) from server far into far;
select count(*) from far.fdw_kinds;
insert into far.fdw_kinds (id, name) values (100, 'fdw');
begin;
insert into far.fdw_kinds (id, name) values (101, 'gone');
savepoint s;
insert into far.fdw_kinds (id, name) values (102, 'gone too');
rollback to s;
rollback;
update far.fdw_kinds set name = name || '!' where id < 5;
delete from far.fdw_kinds where id > 40 returning id;
select count(*), max(name) from far.fdw_kinds;
begin;
declare c cursor for select id from far.fdw_kinds order by id;
fetch 3 from c;
move 20 in c;
fetch 2 from c;
commit;
analyze far.fdw_kinds;
select format('host=%s port=%s dbname=%s user=%s password=%s', :'host', :'port', :'dbname', :'user', :'password') as c \gset
select * from dblink(:'c', 'select 1, 2') as t(a int, b int);
select dblink_connect('c', :'c');
select dblink_exec('c', 'begin');
select dblink_exec('c', $$insert into fdw_kinds values (200, 'dblink')$$);
select dblink_open('c', 'cur', 'select id from fdw_kinds order by id');
select * from dblink_fetch('c', 'cur', 2) as t(id int);
select dblink_close('c', 'cur');
select dblink_exec('c', 'commit');
select dblink_send_query('c', 'select 7');
select * from dblink_get_result('c') as t(a int);
select * from dblink_get_result('c') as t(a int);
select dblink_disconnect('c');
select postgres_fdw_disconnect_all();
