create table if not exists products (
  id          int primary key auto_increment,
  name        varchar(200) not null,
  category    varchar(100) not null,
  price_cents int not null
);
insert into products (name, category, price_cents)
select * from (select 'A Small Book' as name, 'books' as category, 900 as price_cents
               union all select 'A Tall Book', 'books', 1900
               union all select 'A Desk Lamp', 'lamps', 3900) v
where not exists (select 1 from products);
