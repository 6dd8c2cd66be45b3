// Writes the bundle and the licences of what it contains to the directory that is named: see `make vega`.
import { readFileSync, writeFileSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const out = process.argv[2];
const read = (name) => JSON.parse(readFileSync(`${name}/package.json`, "utf8"));
const own = read(".").dependencies;
const versions = Object.keys(own).map((name) => `${name} ${own[name]}`).join(", ");
const { metafile } = await build({
  entryPoints: ["charts.mjs"],
  alias: { vega: "./vega.mjs", "vega-expression": "./node_modules/vega-expression/build/vega-expression.js" },
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  legalComments: "none",
  banner: { js: `/* ${versions}; licences: LICENSES.txt */` },
  metafile: true,
  outfile: `${out}/vega.js`,
});

const folders = new Set(Object.keys(metafile.inputs).map((name) => name.match(/^node_modules\/(@[^/]+\/)?[^/]+/)?.[0]));
const texts = new Map();
for (const folder of [...folders].filter(Boolean).sort()) {
  const { name, version, license } = read(folder);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (!file) throw new Error(`${name} ${version} has no licence file`);
  const text = readFileSync(`${folder}/${file}`, "utf8").trim();
  texts.set(text, [...(texts.get(text) ?? []), `${name} ${version} (${license})`]);
}
const parts = [...texts].map(([text, names]) => `${names.join("\n")}\n\n${text}\n`);
writeFileSync(`${out}/LICENSES.txt`, `What vega.js contains.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`);
