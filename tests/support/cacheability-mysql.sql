-- What the statements of tests/integration/mysql_cacheability.tsv ask about.
create table item (id int primary key, name varchar(40), price decimal(10,2), made datetime, day date, seen timestamp null,
    note text, data json, key (name), fulltext (note));
insert into item select seq, concat('item ', seq), seq * 1.5, '2024-01-02 03:04:05' + interval seq day, '2024-01-02' + interval seq day,
    '2024-07-02 03:04:05', concat('a note of ', seq, ' words'), json_object('k', seq, 'tags', json_array('a', seq)) from seq_1_to_30;
create table hours (id int primary key, at time, until_at time); insert into hours values (1, '10:00:00', '11:30:00');
create table times (id int primary key, made datetime, at time); insert into times values (1, '2024-01-02 03:04:05', '10:00:00');
create table month_of (id int, at time, m int as (month(at)) virtual); insert into month_of (id, at) values (1, '10:00:00');
create table moody (id int, who varchar(80) as (current_user()) virtual); insert into moody (id) values (1);
create table parts (id int primary key, v int) partition by range (id) (partition p0 values less than (10), partition p1 values less than maxvalue);
insert into parts values (1, 1), (20, 2);
create table versioned (id int primary key, v int) with system versioning; insert into versioned values (1, 1);
create table loose (id int primary key, v int) engine=MyISAM; insert into loose values (1, 1);
create table aria (id int primary key, v int) engine=Aria; insert into aria values (1, 1);
create table mem (id int) engine=MEMORY; insert into mem values (1);
create table csv (id int not null) engine=CSV; insert into csv values (1);
create table m1 (id int) engine=MyISAM; create table m2 (id int) engine=MyISAM; insert into m1 values (1); insert into m2 values (2);
create table merged (id int) engine=MERGE union=(m1, m2);
create table `select` (`from` int, `order` int); insert into `select` values (1, 2);
create table `Odd``Name` (`a``b` int); insert into `Odd``Name` values (7);
create table secret (id int);
create view cheap as select id, name, price from item where price < 10;
create view cheaper as select id, name from cheap where price < 5;
create view fresh as select id, now() as moment from item;
create view fresher as select id, moment from fresh;
create view who as select current_user() as name;
create view months as select id, month(at) as m from hours;
create view of_months as select m from months;
create view tables_here as select table_name from information_schema.tables where table_schema = 'shop';
create view remembered as select seq from seq_1_to_5;
create function plus_one (x int) returns int deterministic no sql return x + 1;
create function noisy (x int) returns int modifies sql data return x;
create function any_value (x int) returns int no sql return x + floor(rand() * 1000000);
create function sum (x int) returns int no sql return x + floor(rand() * 1000000);
create view with_function as select plus_one(id) as x from item;
create sequence counter;
create procedure bump () update item set price = price + 0 where id = 1;
create procedure reading () select id from item where id = 1;
create database second; create table second.item like item; insert into second.item (id, name) values (1, 'second');
