// What the charts use of Vega: without maps, layouts of graphs, regressions and word clouds.
import { transforms } from "vega-dataflow";
import * as encode from "vega-encode";
import { expressionInterpreter } from "vega-interpreter";
import { compile } from "vega-lite";
import { parse } from "vega-parser";
import { View } from "vega-view";
import * as basic from "vega-transforms";
import * as ofView from "vega-view-transforms";

Object.assign(transforms, basic, ofView, encode);
globalThis.chartTools = { View, compile, expressionInterpreter, parse };
