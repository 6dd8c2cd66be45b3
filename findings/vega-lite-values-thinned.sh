#!/usr/bin/env bash
# vega-lite 6.4.3 with vega 6.4.0: an axis whose ticks are given by `values` loses every second of them, again and again,
# until no more are left than `tickCount` says; labels and ticks both, without a warning.
#
# Why a good guess is wrong: `values` is documented to set the ticks, and `tickCount` as a desired number of those that the
# axis chooses itself, so that one would seem to make the other idle. A chart that has both, the count from a general
# theme and the values from its data, shows 0, 2, 4 … of thirteen positions, as if the others had not been measured.
# Neither `labelOverlap: false` nor `labelBound: false` keeps them; leaving `tickCount` out does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --no-save vega@6.4.0 vega-lite@6.4.3
cat > ticks.mjs <<'JS'
import assert from "node:assert";
import * as vega from "vega";
import { compile } from "vega-lite";

const values = [...Array(13).keys()];

async function labels(axis) {
  const scale = { domain: [0, 12] };
  const { spec } = compile({
    data: { values: [{ x: 0 }, { x: 12 }] },
    mark: "point",
    width: 1300,
    encoding: { x: { field: "x", type: "quantitative", scale, axis } },
  });
  const view = new vega.View(vega.parse(spec), { renderer: "none" });
  const svg = await view.toSVG();
  return [...svg.matchAll(/<text[^>]*>([0-9.]+)<\/text>/g)].map((found) => Number(found[1]));
}

const alone = await labels({ values });
const counted = await labels({ values, tickCount: 7 });
const fewer = await labels({ values, tickCount: 4 });
const kept = await labels({ values, tickCount: 7, labelOverlap: false, labelBound: false });
console.log("values alone:", ...alone);
console.log("tickCount 7:", ...counted);
console.log("tickCount 4:", ...fewer);
console.log("tickCount 7, labelOverlap and labelBound false:", ...kept);
assert.deepEqual(alone, values);
assert.deepEqual(counted, [0, 2, 4, 6, 8, 10, 12]);
assert.deepEqual(fewer, [0, 4, 8, 12]);
assert.deepEqual(kept, counted);
JS
node ticks.mjs
