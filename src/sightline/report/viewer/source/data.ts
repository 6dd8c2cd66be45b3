// What the page contains: inspections as Python writes them, and their arrays as numbers.

/** An array in JSON: little-endian numbers in C order as base64; every float16 is to be multiplied by `scale`. */
export interface PackedArray {
  shape: number[];
  numbers: "float16" | "float32" | "uint8" | "bits";
  data: string;
  scale: number;
}

export type Side = "output" | "source";

export interface MapData {
  name: string;
  layer: number;
  method: string;
  kind: "self" | "cross";
  rows: Side;
  columns: Side;
  weights: PackedArray;
  skipped: PackedArray | null;
  signed: boolean;
  meaning: string;
  limits: string;
}

/** An inspection; `labels` are the pieces as they are shown. */
export interface InspectionData {
  command: string;
  model: { name: string; architecture: string; task: string; parameters: number };
  input: {
    kind: "text" | "series" | "audio" | "image";
    text: string;
    pieces: string[];
    labels: string[];
    spans: [number, number][];
    values: PackedArray | null;
    channels: string[];
    spectrogram: PackedArray | null;
    frame_s: number | null;
    pixels: PackedArray | null;
    grid: [number, number] | [];
  };
  output: {
    pieces: string[];
    labels: string[];
    read: string[];
    read_labels: string[];
    probability: (number | null)[];
    values: PackedArray | null;
  };
  maps: MapData[];
  notes: string[];
}

export interface PageData {
  inspections: InspectionData[];
  letters: string;
}

/** Unpack the page's data: JSON, compressed (gzip), as base64. */
export async function unpack(text: string): Promise<PageData> {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

let halves: Float32Array | undefined;

/** The number of each of the 65,536 patterns of a float16. */
function halfNumbers(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14;
    halves[bits] = bits & 0x8000 ? -size : size;
  }
  return halves;
}

/** All numbers of an array. */
export function numbersOf(array: PackedArray): Float32Array {
  const bytes = bytesOf(array.data);
  const count = array.shape.reduce((a, b) => a * b, 1);
  const view = new DataView(bytes.buffer);
  const numbers = new Float32Array(count);
  if (array.numbers === "uint8") {
    numbers.set(bytes);
  } else if (array.numbers === "bits") {
    for (let i = 0; i < count; i++) numbers[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  } else if (array.numbers === "float32") {
    for (let i = 0; i < count; i++) numbers[i] = view.getFloat32(4 * i, true) * array.scale;
  } else {
    const half = halfNumbers();
    for (let i = 0; i < count; i++) numbers[i] = half[view.getUint16(2 * i, true)] * array.scale;
  }
  return numbers;
}

/** The weights of one head, or their mean over heads: rows × columns, with what is skipped. */
export class Grid {
  readonly largest: number; // of the absolute values

  constructor(
    readonly rows: number,
    readonly columns: number,
    readonly values: Float32Array,
    readonly skipped: Float32Array | null,
    readonly signed: boolean,
  ) {
    let largest = 0;
    for (let i = 0; i < values.length; i++) {
      const size = Math.abs(values[i]);
      if (size > largest) largest = size;
    }
    this.largest = largest;
  }

  at(row: number, column: number): number {
    return this.values[row * this.columns + column];
  }

  isSkipped(row: number, column: number): boolean {
    return this.skipped !== null && this.skipped[row * this.columns + column] > 0;
  }

  /** The columns of a row with the largest weights by size, largest first; weights of 0 and what is skipped left out. */
  heaviest(row: number, most: number): number[] {
    const chosen: number[] = [];
    const base = row * this.columns;
    let least = 0;
    for (let column = 0; column < this.columns; column++) {
      const size = Math.abs(this.values[base + column]);
      if (size <= least || this.isSkipped(row, column)) continue;
      let place = chosen.length;
      while (place > 0 && Math.abs(this.values[base + chosen[place - 1]]) < size) place--;
      chosen.splice(place, 0, column);
      if (chosen.length > most) chosen.pop();
      if (chosen.length === most) least = Math.abs(this.values[base + chosen[most - 1]]);
    }
    return chosen;
  }

  /** The place of a cell in its row by size of weight, 1 = largest. */
  rank(row: number, column: number): number {
    const base = row * this.columns;
    const size = Math.abs(this.values[base + column]);
    let larger = 0;
    for (let i = 0; i < this.columns; i++) if (Math.abs(this.values[base + i]) > size) larger++;
    return larger + 1;
  }
}

/** The heads of one layer, decoded when they are first asked for; the last few are kept. */
export class Layer {
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  private numbers: Float32Array | undefined;
  private readonly grids = new Map<number, Grid>();

  constructor(readonly data: MapData) {
    [this.heads, this.rows, this.columns] = data.weights.shape;
  }

  /** The grid of a head; -1 is the mean over heads. */
  grid(head: number): Grid {
    const known = this.grids.get(head);
    if (known) return known;
    this.numbers ??= numbersOf(this.data.weights);
    const size = this.rows * this.columns;
    let values = this.numbers.subarray(head * size, (head + 1) * size);
    if (head < 0) {
      values = new Float32Array(size);
      for (let h = 0; h < this.heads; h++) {
        for (let i = 0; i < size; i++) values[i] += this.numbers[h * size + i] / this.heads;
      }
    }
    const skipped = this.data.skipped && (this.grids.values().next().value?.skipped ?? numbersOf(this.data.skipped));
    const grid = new Grid(this.rows, this.columns, values, skipped, this.data.signed);
    this.grids.set(head, grid);
    return grid;
  }

  /** The head that is shown first: the mean where there are several heads. */
  get first(): number {
    return this.heads > 1 ? -1 : 0;
  }

  /** All heads, the mean first where there are several. */
  get shown(): number[] {
    const heads = Array.from({ length: this.heads }, (_, head) => head);
    return this.heads > 1 ? [-1, ...heads] : heads;
  }
}

const METHODS: Record<string, string> = {
  softmax: "Attention weights",
  value_weighted: "Value-weighted attention",
  rollout: "Attention rollout",
  implicit: "Implicit attention",
  jacobian: "Jacobian norm",
  effect: "Causal effect",
  relevance: "Relevance",
  integrated_gradients: "Integrated gradients",
  gradient: "Gradient",
};

/** The maps of one method between the same two sequences: the layers of an overview. */
export interface Measure {
  title: string;
  layers: Layer[];
}

export function measuresOf(inspection: InspectionData): Measure[] {
  const measures = new Map<string, Measure>();
  for (const data of inspection.maps) {
    const over = { output: "the output", source: "the input" };
    const between = data.kind === "self" && data.rows === data.columns ? `${over[data.rows]} over itself` : `${over[data.rows]} over ${over[data.columns]}`;
    const title = `${METHODS[data.method] ?? data.method}: ${between}`;
    const measure = measures.get(title) ?? { title, layers: [] };
    measure.layers.push(new Layer(data));
    measures.set(title, measure);
  }
  return [...measures.values()];
}

/** The measure that each of several inspections begins with: that of the same title, best the effect on the output. */
export function firstOf(inspections: InspectionData[]): number[] {
  const titles = inspections.map((inspection) => measuresOf(inspection).map(({ title }) => title));
  const common = titles[0].filter((title) => titles.every((others) => others.includes(title)));
  const best = inspections.length > 1 ? (common.find((title) => title === `${METHODS.effect}: the output over the input`) ?? common[0]) : titles[0][0];
  return titles.map((own) => Math.max(0, own.indexOf(best)));
}

export function layerName(layer: Layer): string {
  const { layer: number, name } = layer.data;
  return number >= 0 ? `layer ${number + 1}` : name === "layers" ? "all layers together" : "whole model";
}

export function headName(head: number): string {
  return head < 0 ? "mean of heads" : `head ${head + 1}`;
}

/** The labels along the rows or columns of a map. */
export function labelsOf(inspection: InspectionData, map: MapData, axis: "rows" | "columns"): string[] {
  if (map[axis] === "source") return inspection.input.labels;
  const { labels, read_labels: read } = inspection.output;
  return axis === "columns" && map.rows === "output" && read.length ? read : labels;
}

/** A number in three digits. */
export function shown(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const text = size >= 1e-3 && size < 1e5 ? Number(size.toPrecision(3)).toString() : size.toExponential(1).replace("-", "−");
  return value < 0 ? `−${text}` : text;
}

/** A text as the search compares it. */
export function searched(text: string): string {
  return text.normalize("NFKC").toLocaleLowerCase();
}
