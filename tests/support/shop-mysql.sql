-- The small shop that `make demo DB=mysql` and the tests use: some 10 000 rows in three tables.
create table categories (
  id    int primary key,
  name  varchar(100) not null unique
);
create table products (
  id          int auto_increment primary key,
  name        varchar(100) not null,
  category    varchar(100) not null,
  price_cents int not null,
  stock       int not null,
  updated_at  timestamp not null default current_timestamp,
  index products_category (category),
  foreign key (category) references categories (name)
);
create table orders (
  id         bigint auto_increment primary key,
  product_id int not null,
  quantity   int not null,
  placed_at  timestamp not null default current_timestamp,
  foreign key (product_id) references products (id)
);
insert into categories
  select seq, concat('category-', seq) from seq_1_to_50;
insert into categories values (51, 'books'), (52, 'lamps');
insert into products (name, category, price_cents, stock)
  select concat('product ', seq), concat('category-', 1 + seq % 50), 100 + seq * 7 % 9900, seq * 13 % 200
  from seq_1_to_4000;
insert into products (name, category, price_cents, stock)
  select concat('book ', seq), 'books', 500 + seq * 11 % 4000, seq % 40 from seq_1_to_40;
insert into orders (product_id, quantity)
  select 1 + seq * 31 % 4000, 1 + seq % 5 from seq_1_to_6000;
analyze table categories, products, orders;
