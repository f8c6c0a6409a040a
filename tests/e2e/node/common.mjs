// What every Node driver of the matrix shares: the connection string, assertions, values that must survive.
import assert from "node:assert/strict";

export const url = process.argv[2];
export { assert };

export const BIG = 10 * 1024 * 1024;
export const ROWS = 100_000;

/** Runs `n` of `work(i)` at once. */
export const together = (n, work) => Promise.all(Array.from({ length: n }, (_, i) => work(i)));

/** Runs the named steps one after the other and says which one failed. */
export async function steps(all) {
  for (const [name, step] of Object.entries(all)) {
    try {
      await step();
    } catch (error) {
      console.error(`step failed: ${name}`);
      throw error;
    }
  }
  console.log(`${Object.keys(all).length} steps passed`);
  process.exit(0);
}

export async function rejects(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code ?? error.cause?.code, code, String(error));
    return true;
  });
}
