// What the MySQL drivers of the matrix share: where to connect, a row of every type, its table.
import { assert, url } from "./common.mjs";

const at = new URL(url);
export const login = {
  host: at.hostname,
  port: Number(at.port),
  user: at.username,
  password: decodeURIComponent(at.password),
  database: at.pathname.slice(1),
};

export const BLOB = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
export const TEXT = "żółć \u{1F600} '\"\\ % _ \n\r\t\x1a";
export const BIG_INT = "9007199254740993";
export const BIGGEST = "18446744073709551615";

/** Column by column: its type, the value to insert, what comes back with numbers and dates as strings. */
export const TYPES = [
  ["i8", "tinyint", -128, -128],
  ["u16", "smallint unsigned", 65535, 65535],
  ["i32", "int", -2147483648, -2147483648],
  ["i64", "bigint", BIG_INT, BIG_INT],
  ["u64", "bigint unsigned", BIGGEST, BIGGEST],
  ["f", "float", 1.5, 1.5],
  ["d", "double", 0.1, 0.1],
  ["n", "decimal(30,10)", "12345678901234567890.0123456789", "12345678901234567890.0123456789"],
  ["s", "varchar(200)", TEXT, TEXT],
  ["t", "longtext", TEXT.repeat(50), TEXT.repeat(50)],
  ["c", "char(5)", "ab", "ab"],
  ["b", "varbinary(300)", BLOB, BLOB],
  ["bl", "longblob", Buffer.concat([BLOB, BLOB]), Buffer.concat([BLOB, BLOB])],
  ["dt", "datetime(6)", "2026-11-23 10:11:12.345678", "2026-11-23 10:11:12.345678"],
  ["da", "date", "1999-12-31", "1999-12-31"],
  ["ti", "time(6)", "-837:59:59.125375", "-837:59:59.125375"],
  ["y", "year", 2026, 2026],
  ["e", "enum('a','b')", "b", "b"],
  ["st", "set('x','y','z')", "x,z", "x,z"],
  ["nu", "int", null, null],
  ["em", "varchar(10)", "", ""],
];
export const createTypes = (table) =>
  `create table ${table} (id int primary key, ${TYPES.map(([name, type]) => `${name} ${type}`).join(", ")})`;
export const insertTypes = (table) => `insert into ${table} values (?, ${TYPES.map(() => "?").join(", ")})`;
export const typeValues = TYPES.map(([, , value]) => value);
/** `row` is what was inserted under `id`; drivers differ in whether they give a number, a BigInt or a string. */
export function isRow(row, id) {
  const plain = (v) => typeof v === "bigint" || typeof v === "number" || Array.isArray(v) ? String(v) : Buffer.isBuffer(v) ? v.toString("hex") : v;
  assert.deepEqual(Object.keys(row), ["id", ...TYPES.map(([name]) => name)]);
  assert.equal(row.id, id);
  for (const [name, type, , back] of TYPES) assert.equal(plain(row[name]), plain(back), `${name} ${type}`);
}

/** A file for LOAD DATA LOCAL INFILE. */
export const INFILE_ROWS = 5000;
export const infile = () => Buffer.from(Array.from({ length: INFILE_ROWS }, (_, i) => `${i}\tvalue ${i}\n`).join(""));
export const loadData = (table) => `load data local infile 'rows.tsv' into table ${table}`;
