// Writes the script to the directory that is named, with the hash of its sources: see `make viewer`.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const files = ["package.json", "package-lock.json", "tsconfig.json", "vite.config.js", "build.mjs", ...readdirSync("source").map((name) => `source/${name}`)];
const hash = createHash("sha256");
for (const name of files.sort()) hash.update(`${name}\0`).update(readFileSync(name)).update("\0");
writeFileSync(`${process.argv[2]}/viewer.js`, `/* sources ${hash.digest("hex")} */\n${readFileSync("out/viewer.js", "utf8").trim()}\n`);
