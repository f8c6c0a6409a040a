// Reads wrangler files as the real wrangler does: node read_config.mjs LIST.json OUT.json, where LIST is an array of paths
// and OUT an object from path to what wrangler read, or to its error as a string.
import fs from "node:fs";
import { experimental_readRawConfig as read } from "wrangler";

const out = {};
for (const path of JSON.parse(fs.readFileSync(process.argv[2], "utf8"))) {
  try {
    out[path] = read({ config: path }).rawConfig;
  } catch (error) {
    out[path] = String(error.message);
  }
}
fs.writeFileSync(process.argv[3], JSON.stringify(out, (_, value) => (typeof value === "bigint" ? Number(value) : value)));
