// mysql (mysqljs): text protocol only, mysql_native_password without plugins, pings before reuse.
import mysql from "mysql";
import { assert, BIG, rejects, ROWS, steps, together } from "./common.mjs";
import { createTypes, insertTypes, isRow, login, typeValues } from "./common_mysql.mjs";

const options = { ...login, dateStrings: true, supportBigNumbers: true, charset: "utf8mb4" };
const ask = (c, sql, values) => new Promise((resolve, reject) => c.query(sql, values, (error, rows) => error ? reject(error) : resolve(rows)));
const using = async (work, more = {}) => {
  const c = mysql.createConnection({ ...options, ...more });
  try {
    return await work(c);
  } finally {
    await new Promise((resolve) => c.end(resolve));
  }
};

await steps({
  "types survive": () => using(async (c) => {
    await ask(c, "drop table if exists matrix_mysqljs");
    await ask(c, createTypes("matrix_mysqljs"));
    await ask(c, insertTypes("matrix_mysqljs"), [1, ...typeValues]);
    const [row] = await ask(c, "select * from matrix_mysqljs");
    isRow(row, 1);
  }),
  "big values and many rows": () => using(async (c) => {
    const value = "y".repeat(BIG);
    assert.equal((await ask(c, "select ? v", [value]))[0].v, value);
    assert.equal((await ask(c, "select seq from seq_1_to_100000")).length, ROWS);
  }),
  "transactions, errors, several statements": () => using(async (c) => {
    await ask(c, "drop table if exists matrix_js");
    await ask(c, "create table matrix_js (k int primary key)");
    await ask(c, "start transaction; insert into matrix_js values (1); rollback");
    await ask(c, "start transaction; insert into matrix_js values (2)");
    await rejects(ask(c, "insert into matrix_js values (2)"), "ER_DUP_ENTRY");
    await ask(c, "commit");
    assert.deepEqual((await ask(c, "select k from matrix_js")).map((r) => r.k), [2]);
    const results = await ask(c, "select 1 a; update matrix_js set k = 2; select 2 b");
    assert.deepEqual([results[0][0].a, results[1].affectedRows, results[2][0].b], [1, 1, 2]);
  }, { multipleStatements: true }),
  "a pool pings and serves": async () => {
    const pool = mysql.createPool({ ...options, connectionLimit: 8 });
    for (let round = 0; round < 3; round++) {
      const answers = await together(100, (i) => ask(pool, `select ${i} + ? v`, [round]));
      answers.forEach(([r], i) => assert.equal(r.v, i + round));
    }
    await new Promise((resolve) => pool.end(resolve));
  },
  "change of user": () => using(async (c) => {
    await new Promise((resolve, reject) => c.changeUser({ ...login }, (e) => e ? reject(e) : resolve()));
    assert.equal((await ask(c, "select 1 v"))[0].v, 1);
  }),
});
