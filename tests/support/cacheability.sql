-- A database of traps for the cache: what each object is good for stands beside it.
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), tags text[],
  data jsonb, created_at timestamptz NOT NULL DEFAULT now(), day date, note text, search tsvector);
CREATE TABLE orders (id int PRIMARY KEY, product_id int REFERENCES products ON DELETE CASCADE,
  placed timestamp, amount numeric);
CREATE TABLE order_lines (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE SET NULL);
CREATE TABLE plain_refs (id int PRIMARY KEY, product_id int REFERENCES products);
-- `created_at` is a text here: a cast of it may read 'today'.
CREATE TABLE imports (id int PRIMARY KEY, created_at text, day text);
CREATE TABLE hours (id int PRIMARY KEY, opens time, opens_tz timetz);
CREATE TABLE events (id int, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE animals (id int, name text);
CREATE TABLE dogs (breed text) INHERITS (animals);
CREATE UNLOGGED TABLE scratch (id int);
CREATE SEQUENCE ticket;
CREATE TABLE secrets (id int, owner name);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
CREATE TABLE audited (id int);
CREATE TABLE audit (id int);
CREATE TABLE ruled (id int);
CREATE TABLE casing ("Order" int, "user" text);

CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN birthday AS date;
CREATE TYPE pair AS (a int, b date);

CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM orders';
CREATE FUNCTION log_it(int) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO audit VALUES ($1); RETURN $1; END';
CREATE FUNCTION label(products) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name || $1.id';
CREATE FUNCTION pure_label(products) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.name';
CREATE FUNCTION mixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION mixed(text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 2';
CREATE FUNCTION with_default(int, int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION noisy_sum(int, int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1; END';
CREATE AGGREGATE noisy(int) (SFUNC = noisy_sum, STYPE = int, INITCOND = '0');
CREATE FUNCTION op_stable(int, int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 + $2';
CREATE OPERATOR +* (LEFTARG = int, RIGHTARG = int, FUNCTION = op_stable);
CREATE OPERATOR *** (LEFTARG = int, RIGHTARG = int, FUNCTION = noisy_sum);
CREATE SCHEMA other;
CREATE TABLE other.products (id int, name text);
CREATE FUNCTION other.lower(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE FUNCTION other.hidden() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';

CREATE FUNCTION on_audited() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER audit_row AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION on_audited();
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO audit VALUES (NEW.id);

CREATE VIEW cheap AS SELECT id, name FROM products WHERE price < 10;
CREATE VIEW cheap_orders AS SELECT o.* FROM orders o JOIN cheap c ON c.id = o.product_id;
CREATE VIEW recent AS SELECT * FROM products WHERE created_at > now() - interval '1 day';
CREATE VIEW recent_ids AS SELECT id FROM recent;
CREATE VIEW logged AS SELECT log_it(id) AS id FROM orders;
CREATE VIEW sampled AS SELECT * FROM products TABLESAMPLE SYSTEM (50);
CREATE VIEW guarded AS SELECT * FROM secrets;
CREATE VIEW tables_view AS SELECT relname FROM pg_class;
CREATE MATERIALIZED VIEW totals AS SELECT product_id, sum(amount) AS total FROM orders GROUP BY 1;

INSERT INTO products SELECT i, 'product ' || i, i * 1.5, ARRAY['a', 'b' || i],
  jsonb_build_object('k', i, 'day', '2024-01-0' || 1 + i % 9), timestamptz '2024-01-01 12:00+00' + i * interval '1 hour',
  date '2024-01-01' + i, 'note ' || i, to_tsvector('english', 'product ' || i)
  FROM generate_series(1, 20) i;
INSERT INTO orders SELECT i, 1 + i % 20, timestamp '2024-02-01' + i * interval '1 day', i * 2.5
  FROM generate_series(1, 40) i;
INSERT INTO order_lines SELECT i, 1 + i % 40 FROM generate_series(1, 60) i;
INSERT INTO imports VALUES (1, '2024-01-01', '2024-01-02');
INSERT INTO hours VALUES (1, '09:00', '09:00+02');
INSERT INTO events VALUES (1, '2023-05-05'), (2, '2024-05-05');
INSERT INTO animals VALUES (1, 'cat');
INSERT INTO dogs VALUES (2, 'rex', 'pug');
REFRESH MATERIALIZED VIEW totals;

-- Functions that are not what they are called.
CREATE FUNCTION lying_read() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM orders';
CREATE FUNCTION lying_read_plpgsql(i int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  'DECLARE r text; BEGIN SELECT name INTO r FROM products WHERE id = i; RETURN r; END';
CREATE FUNCTION lying_table() RETURNS SETOF orders LANGUAGE sql IMMUTABLE AS 'TABLE orders';
CREATE FUNCTION lying_atomic() RETURNS bigint LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT count(*) FROM orders; END;
CREATE FUNCTION lying_clock() RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT now()::date';
CREATE FUNCTION lying_comment() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT clock_timestamp/* */()::text';
CREATE FUNCTION lying_quoted() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT "clock_timestamp"()::text';
CREATE FUNCTION lying_internal() RETURNS timestamptz LANGUAGE internal IMMUTABLE AS 'now';
CREATE FUNCTION lying_caller() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT lying_read() + 1';
CREATE FUNCTION lying_setting() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT current_setting(''timezone'')';
CREATE FUNCTION lying_input(text) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT $1::date';
CREATE FUNCTION lying_dynamic(t text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
  'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FR'' || ''OM '' || t INTO n; RETURN n; END';
CREATE FUNCTION lying_writer(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT log_it($1)';
CREATE FUNCTION lying_stable_writer(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM log_it($1); RETURN 1; END';
CREATE FUNCTION lying_config() RETURNS text LANGUAGE sql STABLE AS 'SELECT set_config(''search_path'', ''other'', false)';
CREATE FUNCTION lying_sequence() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT nextval(''ticket'')';
CREATE FUNCTION lying_sum(bigint, int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + count(*) FROM orders';
CREATE AGGREGATE lying_total(int) (SFUNC = lying_sum, STYPE = bigint, INITCOND = '0');
CREATE FUNCTION lying_op(int, int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2 + count(*) FROM orders';
CREATE OPERATOR +! (LEFTARG = int, RIGHTARG = int, FUNCTION = lying_op);
CREATE FUNCTION lying_by_operator(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 +! 1';
CREATE VIEW lying_view AS SELECT lying_read() AS n;
-- And some that are.
CREATE FUNCTION honest_part(timestamp) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT extract(year from $1)';
CREATE FUNCTION honest_loop(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  'DECLARE s int := 0; BEGIN FOR i IN 1..n LOOP s := s + i; END LOOP; IF s IS DISTINCT FROM 0 THEN RETURN s; END IF; RETURN 0; END';
CREATE FUNCTION honest_rows(int[]) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT sum(x) FROM unnest($1) AS x';
CREATE FUNCTION honest_caller(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT twice(twice($1))';
CREATE FUNCTION honest_text(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT upper(trim(both from $1)) || ''!''';
CREATE FUNCTION random_stable() RETURNS float8 LANGUAGE sql STABLE AS 'SELECT random()';

-- Types that read more than their text.
CREATE DOMAIN past AS timestamptz CHECK (VALUE < now());
CREATE DOMAIN past_form AS timestamptz CHECK (VALUE < CURRENT_TIMESTAMP);
CREATE DOMAIN mine AS text CHECK (VALUE = CURRENT_USER OR VALUE = 'x');
CREATE DOMAIN inner_past AS timestamptz CHECK (VALUE::past IS NOT NULL);
CREATE DOMAIN clock AS timetz;
CREATE TYPE shift AS RANGE (subtype = timetz);
CREATE TYPE opening AS (day int, at timetz);
CREATE TYPE opening_days AS (openings opening[]);
CREATE TYPE dated AS (a int, remark date);
CREATE TYPE plain_pair AS (a int, b text[]);
CREATE TABLE dated_rows (id int, one dated, many dated[]);
INSERT INTO dated_rows VALUES (1, (1, '2024-01-01'), ARRAY[(1, '2024-01-01')::dated]);
CREATE TABLE remarks (remark text);
CREATE FUNCTION honest_dated() RETURNS dated LANGUAGE sql IMMUTABLE AS 'SELECT ROW(1, NULL)::dated';
CREATE FUNCTION takes_timetz(timetz) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE FUNCTION takes_past(past[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION takes_timetz_op(int, timetz) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $2::text';
CREATE OPERATOR +~ (LEFTARG = int, RIGHTARG = timetz, FUNCTION = takes_timetz_op);
CREATE FUNCTION honest_epoch(int, timestamptz) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT extract(epoch from $2)';
CREATE OPERATOR +@ (LEFTARG = int, RIGHTARG = timestamptz, FUNCTION = honest_epoch);
CREATE FUNCTION honest_before(timestamptz, timestamptz) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE OPERATOR other.~~ (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = honest_before);
CREATE TABLE changing (id int, x text DEFAULT set_config('search_path', 'other', false));
CREATE TABLE checked (id int CHECK (set_config('search_path', 'other', false) IS NOT NULL));
CREATE TABLE usual (id int DEFAULT (random() * 9)::int, at timestamptz DEFAULT clock_timestamp(), key uuid DEFAULT gen_random_uuid(), n bigserial);
CREATE FOREIGN DATA WRAPPER nowhere_near;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere_near;
CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
CREATE TABLE split (id int) PARTITION BY LIST (id);
CREATE TABLE split_near PARTITION OF split FOR VALUES IN (1);
CREATE FOREIGN TABLE split_far PARTITION OF split FOR VALUES IN (2) SERVER elsewhere;
