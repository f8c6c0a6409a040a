// Drizzle on node-postgres and on postgres.js, and Kysely: the same small program through each.
import { eq, sql as dsql } from "drizzle-orm";
import { drizzle as drizzlePg } from "drizzle-orm/node-postgres";
import { drizzle as drizzleJs } from "drizzle-orm/postgres-js";
import { integer, jsonb, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core";
import { Kysely, PostgresDialect, sql as ksql } from "kysely";
import pg from "pg";
import Cursor from "pg-cursor";
import postgres from "postgres";
import { assert, steps, together, url } from "./common.mjs";

const things = pgTable("matrix_orm", {
  id: serial().primaryKey(),
  name: text().notNull(),
  amount: integer(),
  extra: jsonb(),
  made: timestamp({ withTimezone: true }).defaultNow(),
});

const pool = new pg.Pool({ connectionString: url, max: 5 });
const js = postgres(url, { max: 5, onnotice: () => {} });
const all = {
  table: () => pool.query(`create table if not exists matrix_orm (id serial primary key, name text not null,
    amount int, extra jsonb, made timestamptz default now())`),
};
for (const [name, db] of [["drizzle on pg", drizzlePg(pool)], ["drizzle on postgres.js", drizzleJs(js)]]) {
  all[name] = async () => {
    await db.execute(dsql`truncate matrix_orm restart identity`);
    const [row] = await db.insert(things).values({ name: "first", amount: 3, extra: { a: [1] } }).returning();
    assert.deepEqual([row.id, row.name, row.amount, row.extra], [1, "first", 3, { a: [1] }]);
    await db.transaction(async (tx) => {
      await tx.update(things).set({ amount: 4 }).where(eq(things.id, 1));
      await tx.transaction(async (inner) => {
        await inner.insert(things).values({ name: "inner" });
        inner.rollback();
      }).catch(() => {});
    });
    const rows = await together(20, () => db.select().from(things).where(eq(things.name, "first")));
    rows.forEach(([r]) => assert.equal(r.amount, 4));
    assert.equal((await db.select({ n: dsql`count(*)::int` }).from(things))[0].n, 1);
    const prepared = db.select().from(things).where(eq(things.id, dsql.placeholder("id"))).prepare("thing_by_id");
    for (let i = 0; i < 12; i++) assert.equal((await prepared.execute({ id: 1 }))[0].name, "first");
  };
}
all.kysely = async () => {
  const db = new Kysely({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
  await ksql`truncate matrix_orm restart identity`.execute(db);
  await db.insertInto("matrix_orm").values([{ name: "a", amount: 1 }, { name: "b", amount: 2 }]).execute();
  await db.transaction().execute(async (tx) => {
    await tx.updateTable("matrix_orm").set({ amount: 9 }).where("name", "=", "a").execute();
  });
  const rows = await together(20, (n) => db.selectFrom("matrix_orm").select(["name", "amount"]).where("amount", ">", n % 2).orderBy("id").execute());
  rows.forEach((r) => assert.deepEqual(r, [{ name: "a", amount: 9 }, { name: "b", amount: 2 }].filter((x) => x.amount > 0)));
  let seen = 0;
  for await (const r of db.selectFrom("matrix_orm").selectAll().stream(1)) seen += r.id > 0;
  assert.equal(seen, 2);
};
all.end = () => Promise.all([pool.end(), js.end()]);
await steps(all);
