create table if not exists products (
  id          int primary key generated always as identity,
  name        text not null,
  category    text not null,
  price_cents int not null
);
insert into products (name, category, price_cents)
select * from (values ('A Small Book', 'books', 900), ('A Tall Book', 'books', 1900), ('A Desk Lamp', 'lamps', 3900)) v
where not exists (select from products);
