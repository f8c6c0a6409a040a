-- The small shop that `make demo` and the tests use: some 10 000 rows in three tables.
create table categories (
  id    int primary key,
  name  text not null unique
);
create table products (
  id          int primary key generated always as identity,
  name        text not null,
  category    text not null references categories (name),
  price_cents int not null,
  stock       int not null,
  updated_at  timestamptz not null default now()
);
create index products_category on products (category);
create table orders (
  id         bigint primary key generated always as identity,
  product_id int not null references products,
  quantity   int not null,
  placed_at  timestamptz not null default now()
);
insert into categories
  select n, 'category-' || n from generate_series(1, 50) n;
insert into categories values (51, 'books'), (52, 'lamps');
insert into products (name, category, price_cents, stock)
  select 'product ' || n, 'category-' || (1 + n % 50), 100 + n * 7 % 9900, n * 13 % 200
  from generate_series(1, 4000) n;
insert into products (name, category, price_cents, stock)
  select 'book ' || n, 'books', 500 + n * 11 % 4000, n % 40 from generate_series(1, 40) n;
insert into orders (product_id, quantity)
  select 1 + n * 31 % 4000, 1 + n % 5 from generate_series(1, 6000) n;
analyze;
