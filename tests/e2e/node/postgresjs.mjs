// postgres.js: default (named, prepared), prepare:false, pipelines, cursors, COPY, transactions, cancel.
import postgres from "postgres";
import { once } from "node:events";
import { finished, pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { assert, BIG, rejects, ROWS, steps, together, url } from "./common.mjs";

const all = {};
for (const [mode, options] of Object.entries({ default: {}, "prepare false": { prepare: false } })) {
  const sql = postgres(url, { max: 4, onnotice: () => {}, ...options });
  Object.assign(all, {
    [`${mode}: types`]: async () => {
      const when = new Date("2026-11-23T10:11:12.345Z");
      const [r] = await sql`select ${42}::int4 i, ${"9007199254740993"}::int8 l, ${"żółć"}::text t, ${true}::bool b, ${1.5}::float8 f,
        ${Buffer.from([0, 1, 255])}::bytea y, ${when}::timestamptz z, ${sql.json({ k: [1, null] })}::jsonb j, ${[1, 2, 3]}::int4[] a, ${null}::text n`;
      assert.deepEqual({ ...r, y: [...r.y] }, { i: 42, l: "9007199254740993", t: "żółć", b: true, f: 1.5, y: [0, 1, 255], z: when,
        j: { k: [1, null] }, a: [1, 2, 3], n: null });
    },
    [`${mode}: 10 MB`]: async () => {
      const value = "x".repeat(BIG);
      assert.equal((await sql`select ${value}::text v`)[0].v, value);
    },
    [`${mode}: 100 000 rows`]: async () => {
      assert.equal((await sql`select n, 'row ' || n t from generate_series(1, ${ROWS}::int) n`).length, ROWS);
    },
    [`${mode}: the same statement many times`]: () => together(60, async (n) => {
      assert.equal((await sql`select ${n}::int * 2 as d`)[0].d, n * 2);
    }),
    [`${mode}: pipeline of different statements`]: async () => {
      const answers = await together(60, (n) => sql.unsafe(`select $1::int + ${n % 7} as d`, [n]));
      answers.forEach(([r], n) => assert.equal(r.d, n + (n % 7)));
    },
    [`${mode}: an error among them`]: async () => {
      const answers = await Promise.allSettled([sql`select 1 v`, sql`select 1/${0}::int`, sql`select 3 v`]);
      assert.deepEqual(answers.map((a) => a.status), ["fulfilled", "rejected", "fulfilled"]);
      assert.equal(answers[1].reason.code, "22012");
    },
    [`${mode}: simple, several statements`]: async () => {
      const answers = await sql.unsafe("select 1 a; select 2 b").simple();
      assert.deepEqual(answers.map((a) => ({ ...a[0] })), [{ a: 1 }, { b: 2 }]);
    },
    [`${mode}: transaction, savepoint`]: async () => {
      await sql`create table if not exists matrix_pjs (k int primary key, v text)`;
      await sql`truncate matrix_pjs`;
      await sql.begin(async (tx) => {
        await tx`insert into matrix_pjs values (1, 'kept')`;
        await tx.savepoint((s) => s`insert into matrix_pjs values (1, 'twice')`).catch((e) => assert.equal(e.code, "23505"));
      });
      await sql.begin(async (tx) => {
        await tx`insert into matrix_pjs values (2, 'lost')`;
        throw new Error("back");
      }).catch((e) => assert.equal(e.message, "back"));
      assert.deepEqual((await sql`select * from matrix_pjs`).map((r) => ({ ...r })), [{ k: 1, v: "kept" }]);
    },
    [`${mode}: cursor`]: async () => {
      let seen = 0;
      for await (const rows of sql`select n from generate_series(1, 250) n`.cursor(100)) seen += rows.length;
      assert.equal(seen, 250);
    },
    [`${mode}: COPY in and out`]: async () => {
      await sql`create table if not exists matrix_copy (k int, v text)`;
      await sql`truncate matrix_copy`;
      const writable = await sql`copy matrix_copy from stdin`.writable();
      await pipeline(Readable.from(Array.from({ length: 5000 }, (_, n) => `${n}\tvalue ${n}\n`)), writable);
      const readable = await sql`copy matrix_copy to stdout`.readable();
      let bytes = 0;
      for await (const chunk of readable) bytes += chunk.length;
      assert.equal((await sql`select count(*)::int n from matrix_copy`)[0].n, 5000);
      assert.ok(bytes > 5000 * 10);
    },
    [`${mode}: cancel`]: async () => {
      const query = sql`select pg_sleep(30)`;
      const running = query.execute().catch((e) => e);
      await new Promise((resolve) => setTimeout(resolve, 500));
      query.cancel();
      assert.equal((await running).code, "57014");
    },
    [`${mode}: 20 clients`]: () => together(20, async (n) => {
      const own = postgres(url, { max: 1, ...options });
      for (let i = 0; i < 10; i++) assert.equal((await own`select ${n * 100 + i}::int v`)[0].v, n * 100 + i);
      await own.end();
    }),
    [`${mode}: end`]: () => sql.end(),
  });
}
await steps(all);
