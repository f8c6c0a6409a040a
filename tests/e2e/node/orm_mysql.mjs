// Drizzle and Kysely on mysql2: the same small program through each.
import { eq, sql as dsql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/mysql2";
import { int, json, mysqlTable, timestamp, varchar } from "drizzle-orm/mysql-core";
import { Kysely, MysqlDialect, sql as ksql } from "kysely";
import mysql from "mysql2";
import { assert, steps, together } from "./common.mjs";
import { login } from "./common_mysql.mjs";

const things = mysqlTable("matrix_orm", {
  id: int().autoincrement().primaryKey(),
  name: varchar({ length: 100 }).notNull(),
  amount: int(),
  extra: json(),
  made: timestamp().defaultNow(),
});
const pool = mysql.createPool({ ...login, connectionLimit: 5 });
const rowsOf = async (query) => (await pool.promise().query(query))[0];

await steps({
  table: () => rowsOf(`create or replace table matrix_orm (id int auto_increment primary key, name varchar(100) not null,
    amount int, extra json, made timestamp default current_timestamp)`),
  drizzle: async () => {
    const db = drizzle(pool);
    const [{ id }] = await db.insert(things).values({ name: "first", amount: 3, extra: { a: [1] } }).$returningId();
    assert.equal(id, 1);
    await db.transaction(async (tx) => {
      await tx.update(things).set({ amount: 4 }).where(eq(things.id, 1));
      await tx.transaction(async (inner) => {
        await inner.insert(things).values({ name: "inner" });
        inner.rollback();
      }).catch(() => {});
    });
    const rows = await together(20, () => db.select().from(things).where(eq(things.name, "first")));
    rows.forEach(([r]) => assert.equal(r.amount, 4));
    assert.equal(Number((await db.select({ n: dsql`count(*)` }).from(things))[0].n), 1);
    const prepared = db.select().from(things).where(eq(things.id, dsql.placeholder("id"))).prepare();
    for (let i = 0; i < 12; i++) assert.equal((await prepared.execute({ id: 1 }))[0].name, "first");
  },
  kysely: async () => {
    const db = new Kysely({ dialect: new MysqlDialect({ pool }) });
    await ksql`truncate table matrix_orm`.execute(db);
    await db.insertInto("matrix_orm").values([{ name: "a", amount: 1 }, { name: "b", amount: 2 }]).execute();
    await db.transaction().execute(async (tx) => {
      await tx.updateTable("matrix_orm").set({ amount: 9 }).where("name", "=", "a").execute();
    });
    const rows = await together(20, (n) => db.selectFrom("matrix_orm").select(["name", "amount"]).where("amount", ">", n % 2).orderBy("id").execute());
    rows.forEach((r) => assert.deepEqual(r, [{ name: "a", amount: 9 }, { name: "b", amount: 2 }]));
    let seen = 0;
    for await (const r of db.selectFrom("matrix_orm").selectAll().stream()) seen += r.id > 0;
    assert.equal(seen, 2);
  },
  end: () => new Promise((resolve) => pool.end(resolve)),
});
