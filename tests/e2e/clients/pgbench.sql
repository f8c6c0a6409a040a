\set a random(1, 100)
begin;
select n as n1 from bench where id = :a \gset
update bench set n = n + 1 where id = :a;
end;
select count(*) as c from bench \aset
\if :c = 100
\startpipeline
select n from bench where id = :a;
select 1;
\endpipeline
\endif
