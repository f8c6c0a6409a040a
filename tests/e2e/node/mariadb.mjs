// The mariadb connector: pipelined prepare and execute (last prepared id), bulk operations, batches, streams, pool.
import mariadb from "mariadb";
import { assert, BIG, rejects, ROWS, steps, together } from "./common.mjs";
import { createTypes, infile, INFILE_ROWS, insertTypes, isRow, loadData, login, typeValues } from "./common_mysql.mjs";
import { Readable } from "node:stream";

const options = { ...login, dateStrings: true, supportBigNumbers: true, bigNumberStrings: true, insertIdAsNumber: true };
const using = async (work, more = {}) => {
  const c = await mariadb.createConnection({ ...options, ...more });
  try {
    return await work(c);
  } finally {
    await c.end();
  }
};
const both = (name, work) => [
  [`${name}, one after the other`, () => using(work, { pipelining: false })],
  [`${name}, pipelined`, () => using(work, { pipelining: true, prepareCacheLength: 0 })],
  [`${name}, pipelined with a statement cache`, () => using(work, { pipelining: true })],
];

await steps(Object.fromEntries([
  ...both("types survive as text and as binary", async (c) => {
    await c.query("drop table if exists matrix_mariadb");
    await c.query(createTypes("matrix_mariadb"));
    await c.query(insertTypes("matrix_mariadb"), [1, ...typeValues]);
    await c.execute(insertTypes("matrix_mariadb"), [2, ...typeValues]);
    for (const rows of [await c.query("select * from matrix_mariadb order by id"),
      await c.execute("select * from matrix_mariadb where id > ? order by id", [0])]) {
      rows.forEach((row, i) => isRow(row, i + 1));
      assert.equal(rows.length, 2);
    }
  }),
  ...both("prepared again and again", async (c) => {
    for (let i = 0; i < 30; i++) {
      const [row] = await c.execute("select ? a, ? b", [i, i % 2 ? null : `v${i}`]);
      assert.deepEqual([Number(row.a), row.b], [i, i % 2 ? null : `v${i}`]);
    }
    await rejects(c.execute("select * from no_such_table where a = ?", [1]), "ER_NO_SUCH_TABLE");
    const [row] = await c.execute("select ? a", ["after"]);
    assert.equal(row.a, "after");
  }),
  ...both("commands in flight are answered in order", async (c) => {
    const answers = await together(100, (i) => i % 2 ? c.query(`select ${i} v`) : c.execute("select ? v", [i]));
    answers.forEach(([r], i) => assert.equal(Number(r.v), i));
  }),
  ...both("batches", async (c) => {
    await c.query("create or replace table matrix_batch (k int primary key, v varchar(50))");
    const rows = Array.from({ length: 500 }, (_, i) => [i, i % 7 ? `v${i}` : null]);
    const done = await c.batch("insert into matrix_batch values (?, ?)", rows);
    assert.equal(done.affectedRows, 500);
    await c.batch("update matrix_batch set v = ? where k = ?", [["a", 1], ["b", 2]]);
    const back = await c.query("select * from matrix_batch where k in (1, 2, 7) order by k");
    assert.deepEqual(back.map((r) => [r.k, r.v]), [[1, "a"], [2, "b"], [7, null]]);
    await rejects(c.batch("insert into matrix_batch values (?, ?)", [[1000, "x"], [1000, "twice"]]), "ER_DUP_ENTRY");
    assert.equal((await c.query("select 1 v"))[0].v, 1);
  }),
  ["batches without bulk operations", () => using(async (c) => {
    await c.query("create or replace table matrix_batch (k int primary key, v varchar(50))");
    await c.batch("insert into matrix_batch values (?, ?)", Array.from({ length: 100 }, (_, i) => [i, "v"]));
    assert.equal(Number((await c.query("select count(*) n from matrix_batch"))[0].n), 100);
  }, { bulk: false })],
  ["big values and many rows", () => using(async (c) => {
    for (const how of ["query", "execute"]) {
      const value = Buffer.alloc(BIG, 7);
      const [row] = await c[how]("select ? v", [value]);
      assert.equal(Buffer.compare(Buffer.from(row.v), value), 0);
      assert.equal((await c[how]("select seq from seq_1_to_100000")).length, ROWS);
    }
    let seen = 0;
    for await (const row of c.queryStream("select seq from seq_1_to_100000")) seen += row.seq > 0;
    assert.equal(seen, ROWS);
  })],
  ["transactions", () => using(async (c) => {
    await c.query("create or replace table matrix_mtx (k int primary key)");
    await c.beginTransaction();
    await c.execute("insert into matrix_mtx values (?)", [1]);
    await c.rollback();
    await c.beginTransaction();
    await c.query("insert into matrix_mtx values (2)");
    await c.query("savepoint s");
    await rejects(c.query("insert into matrix_mtx values (2)"), "ER_DUP_ENTRY");
    await c.query("rollback to savepoint s");
    await c.commit();
    assert.deepEqual((await c.query("select k from matrix_mtx")).map((r) => r.k), [2]);
  })],
  ["several statements and procedures", () => using(async (c) => {
    const results = await c.query("select 1 a; select 2 b");
    assert.deepEqual([results[0][0].a, results[1][0].b], [1, 2]);
    await c.query("create or replace procedure matrix_mproc(inout n int, out m int) begin set m = n * 2; set n = n + 1; select 'row' r; end");
    const out = await c.execute("call matrix_mproc(?, ?)", [20, null]);
    assert.ok(JSON.stringify(out).includes("row"), JSON.stringify(out));
  }, { multipleStatements: true })],
  ["LOAD DATA LOCAL INFILE", () => using(async (c) => {
    await c.query("create or replace table matrix_mload (k int primary key, v text)");
    const done = await c.query({ sql: loadData("matrix_mload"), infileStreamFactory: () => Readable.from([infile()]) });
    assert.equal(done.affectedRows, INFILE_ROWS);
  }, { permitLocalInfile: true })],
  ["reset, ping, change of user", () => using(async (c) => {
    await c.ping();
    await c.query("set @x = 5");
    await c.reset();
    assert.equal((await c.query("select @x x"))[0].x, null);
    await c.changeUser({ user: login.user, password: login.password, database: login.database });
    assert.equal((await c.query("select database() d"))[0].d, login.database);
  })],
  ["a pool", async () => {
    const pool = mariadb.createPool({ ...options, connectionLimit: 8 });
    const answers = await together(200, (i) => pool.execute("select ? a, sleep(0) s", [i]));
    answers.forEach(([r], i) => assert.equal(Number(r.a), i));
    await pool.end();
  }],
]));
