// mysql2: query, execute, pool, streams, multi-statements, LOCAL INFILE, many clients; also as a Worker uses it.
import { Readable } from "node:stream";
import mysql from "mysql2/promise";
import raw from "mysql2";
import { assert, BIG, rejects, ROWS, steps, together } from "./common.mjs";
import { BIG_INT, createTypes, infile, INFILE_ROWS, insertTypes, isRow, loadData, login, typeValues } from "./common_mysql.mjs";

const options = { ...login, dateStrings: true, supportBigNumbers: true, bigNumberStrings: false };
const using = async (work, more = {}) => {
  const c = await mysql.createConnection({ ...options, ...more });
  try {
    return await work(c);
  } finally {
    await c.end();
  }
};

await steps({
  "types survive as text and as binary": () => using(async (c) => {
    await c.query("drop table if exists matrix_mysql2");
    await c.query(createTypes("matrix_mysql2"));
    await c.query(insertTypes("matrix_mysql2"), [1, ...typeValues]);
    await c.execute(insertTypes("matrix_mysql2"), [2, ...typeValues]);
    const [text] = await c.query("select * from matrix_mysql2 order by id");
    const [binary] = await c.execute("select * from matrix_mysql2 where id > ? order by id", [0]);
    for (const rows of [text, binary]) {
      rows.forEach((row, i) => isRow(row, i + 1));
      assert.equal(rows.length, 2);
    }
  }),
  "nulls and empty strings stay apart": () => using(async (c) => {
    for (const how of ["query", "execute"]) {
      const [rows] = await c[how]("select ? a, ? b, ? c", [null, "", "x"]);
      assert.deepEqual(rows, [{ a: null, b: "", c: "x" }]);
    }
  }),
  "a 10 MB and a 17 MB value both ways": () => using(async (c) => {
    for (const size of [BIG, 17 * 1024 * 1024]) {
      for (const how of ["query", "execute"]) {
        const value = "x".repeat(size);
        const [[r]] = await c[how]("select ? v, length(?) n", [value, value.slice(0, 100)]);
        assert.equal(r.v.length, size);
        assert.equal(r.n, 100);
      }
    }
  }),
  "100 000 rows as text, binary and stream": () => using(async (c) => {
    for (const how of ["query", "execute"]) {
      const [rows] = await c[how]("select seq n, concat('row ', seq) t from seq_1_to_100000", []);
      assert.equal(rows.length, ROWS);
      assert.equal(rows[ROWS - 1].t, `row ${ROWS}`);
    }
    let seen = 0;
    for await (const row of c.connection.query("select seq n from seq_1_to_100000").stream({ highWaterMark: 10 })) seen += row.n > 0;
    assert.equal(seen, ROWS);
  }),
  "the same connection, interleaved statements": () => using(async (c) => {
    for (let round = 0; round < 30; round++) {
      const [[a]] = await c.execute("select ? + 1 v", [round]);
      const [[b]] = await c.execute("select concat(?, '!') v", [`r${round}`]);
      const [[n]] = await c.execute("select ? + 1 v", [round % 2 ? null : "5"]);
      assert.equal(Number(a.v), round + 1);
      assert.equal(b.v, `r${round}!`);
      assert.equal(n.v === null ? null : Number(n.v), round % 2 ? null : 6);
    }
    const statement = await c.prepare("select ? * 2 v");
    for (let i = 0; i < 20; i++) assert.equal(Number((await statement.execute([i]))[0][0].v), 2 * i);
    await statement.close();
  }),
  "commands in flight are answered in order": () => using(async (c) => {
    const answers = await together(200, (i) => i % 3 ? c.query(`select ${i} v`) : c.execute("select ? v", [i]));
    answers.forEach(([[r]], i) => assert.equal(Number(r.v), i));
  }),
  "insert ids and affected rows": () => using(async (c) => {
    await c.query("drop table if exists matrix_ids");
    await c.query("create table matrix_ids (id int auto_increment primary key, v int)");
    const [one] = await c.query("insert into matrix_ids (v) values (1), (1), (1)");
    assert.deepEqual([one.insertId, one.affectedRows], [1, 3]);
    const [two] = await c.execute("insert into matrix_ids (v) values (?)", [2]);
    assert.equal(two.insertId, 4);
    // FOUND_ROWS is mysql2's default: rows found, not rows changed.
    const [same] = await c.query("update matrix_ids set v = 1 where v = 1");
    assert.deepEqual([same.affectedRows, same.changedRows], [3, 0]);
    assert.match(same.info, /Rows matched: 3/);
  }),
  "a client without FOUND_ROWS counts changed rows": () => using(async (c) => {
    const [same] = await c.query("update matrix_ids set v = 1 where v = 1");
    assert.equal(same.affectedRows, 0);
  }, { flags: ["-FOUND_ROWS"] }),
  "transactions and savepoints": () => using(async (c) => {
    await c.query("drop table if exists matrix_tx");
    await c.query("create table matrix_tx (k int primary key, v text)");
    await c.beginTransaction();
    await c.execute("insert into matrix_tx values (?, ?)", [1, "kept"]);
    await c.query("savepoint s");
    await rejects(c.execute("insert into matrix_tx values (?, ?)", [1, "twice"]), "ER_DUP_ENTRY");
    await c.query("insert into matrix_tx values (2, 'lost')");
    await c.query("rollback to savepoint s");
    await c.commit();
    await c.beginTransaction();
    await c.query("insert into matrix_tx values (3, 'lost')");
    await c.rollback();
    assert.deepEqual((await c.query("select * from matrix_tx"))[0], [{ k: 1, v: "kept" }]);
  }),
  "errors carry number, state and words": () => using(async (c) => {
    for (const how of ["query", "execute"]) {
      const error = await c[how]("select * from no_such_table").catch((e) => e);
      assert.deepEqual([error.errno, error.sqlState, error.code], [1146, "42S02", "ER_NO_SUCH_TABLE"]);
      assert.match(error.message, /no_such_table/);
    }
    await rejects(c.query("selec 1"), "ER_PARSE_ERROR");
    assert.equal((await c.query("select 1 v"))[0][0].v, 1);
  }),
  "several statements, several results": () => using(async (c) => {
    const [results] = await c.query("select 1 a; drop table if exists matrix_multi; create table matrix_multi (x int); insert into matrix_multi values (1),(2); select * from matrix_multi");
    assert.deepEqual(results[0], [{ a: 1 }]);
    assert.equal(results[3].affectedRows, 2);
    assert.deepEqual(results[4], [{ x: 1 }, { x: 2 }]);
    await rejects(c.query("select 1; select * from no_such_table; select 2"), "ER_NO_SUCH_TABLE");
    assert.equal((await c.query("select 3 v"))[0][0].v, 3);
  }, { multipleStatements: true }),
  "several statements are refused where not asked for": () => using(async (c) => {
    await rejects(c.query("select 1; select 2"), "ER_PARSE_ERROR");
  }),
  "a procedure's results": () => using(async (c) => {
    await c.query("drop procedure if exists matrix_proc");
    await c.query("create procedure matrix_proc(n int) begin select n a; select n + 1 b, 'x' c; end");
    const [text] = await c.query("call matrix_proc(4)");
    assert.deepEqual([text[0], text[1]], [[{ a: 4 }], [{ b: 5, c: "x" }]]);
    const [binary] = await c.execute("call matrix_proc(?)", [7]);
    assert.deepEqual([binary[0], binary[1]], [[{ a: 7 }], [{ b: 8, c: "x" }]]);
  }),
  "LOAD DATA LOCAL INFILE": () => using(async (c) => {
    await c.query("drop table if exists matrix_load");
    await c.query("create table matrix_load (k int primary key, v text)");
    const [done] = await c.query({ sql: loadData("matrix_load"), infileStreamFactory: () => Readable.from([infile()]) });
    assert.equal(done.affectedRows, INFILE_ROWS);
    assert.equal((await c.query("select count(*) n from matrix_load"))[0][0].n, INFILE_ROWS);
  }),
  "ping, another database, change of user": () => using(async (c) => {
    await c.ping();
    await c.query("create database if not exists matrix_other");
    await c.query("use matrix_other");
    assert.equal((await c.query("select database() d"))[0][0].d, "matrix_other");
    await c.changeUser({ user: login.user, password: login.password, database: login.database });
    assert.equal((await c.query("select database() d"))[0][0].d, login.database);
  }),
  "a pool of ten, 400 transactions, no one's rows to another": async () => {
    const pool = mysql.createPool({ ...options, connectionLimit: 10 });
    await pool.query("drop table if exists matrix_pool");
    await pool.query("create table matrix_pool (who int, n int)");
    await together(400, async (i) => {
      const c = await pool.getConnection();
      try {
        await c.beginTransaction();
        await c.execute("insert into matrix_pool values (?, ?)", [i, 1]);
        const [[mine]] = await c.execute("select count(*) n, ? who from matrix_pool where who = ?", [i, i]);
        assert.deepEqual([mine.n, Number(mine.who)], [1, i]);
        await (i % 4 ? c.commit() : c.rollback());
      } finally {
        c.release();
      }
    });
    assert.equal((await pool.query("select count(*) n from matrix_pool"))[0][0].n, 300);
    await pool.end();
  },
  "thirty clients at once": () => together(30, (i) => using(async (c) => {
    for (let round = 0; round < 20; round++) {
      const [[r]] = await c.execute(`select ? a, ? b, '${i % 5}' c`, [i, `${i}/${round}`]);
      assert.deepEqual([Number(r.a), r.b, r.c], [i, `${i}/${round}`, String(i % 5)]);
    }
  })),
  "callbacks, typecasts and rows as arrays": () => new Promise((resolve, reject) => {
    const c = raw.createConnection({ ...options, rowsAsArray: true });
    c.query(`select ${BIG_INT} v, null n`, (error, rows, fields) => {
      c.end();
      if (error) return reject(error);
      assert.deepEqual([rows, fields.map((f) => f.name)], [[[BIG_INT, null]], ["v", "n"]]);
      resolve();
    });
  }),
  "as a Worker uses it, without eval": () => using(async (c) => {
    for (const how of ["query", "execute"]) {
      const [rows] = await c[how]("select * from matrix_mysql2 where id = ?", [1]);
      isRow(rows[0], 1);
    }
  }, { disableEval: true }),
});
