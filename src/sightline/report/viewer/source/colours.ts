// Colours of values, in light and dark. A value of 0 has the colour of the paper.

export type Colour = [number, number, number];

export interface Theme {
  dark: boolean;
  paper: string;
  ink: string;
  muted: string;
  grid: string;
  skipped: string; // the ground of skipped cells
  hatch: string; // and the lines over it
  mark: string; // the chosen cell and its row and column
  found: string; // what a search finds
  up: Colour[]; // from 0 to the largest value
  down: Colour[]; // from 0 to the most negative value
  line: string; // a positive weight as a line
  against: string; // a negative one
}

export const LIGHT: Theme = {
  dark: false,
  paper: "#ffffff",
  ink: "#1b1f24",
  muted: "#5d6570",
  grid: "#dfe3e8",
  skipped: "#e6e6e3",
  hatch: "#a3a39b",
  mark: "#b3261e",
  found: "#f2c200",
  up: [[255, 255, 255], [191, 217, 238], [100, 165, 214], [24, 100, 170], [3, 39, 92]],
  down: [[255, 255, 255], [248, 208, 190], [231, 138, 108], [186, 55, 38], [100, 12, 16]],
  line: "#0054a0",
  against: "#b3411e",
};

export const DARK: Theme = {
  dark: true,
  paper: "#15181b",
  ink: "#e8eaed",
  muted: "#a2abb6",
  grid: "#2d3339",
  skipped: "#2b2d2c",
  hatch: "#63665f",
  mark: "#ff8f85",
  found: "#e8bd4c",
  up: [[21, 24, 27], [24, 63, 99], [43, 116, 178], [112, 186, 250], [233, 245, 255]],
  down: [[21, 24, 27], [99, 43, 30], [178, 74, 48], [250, 150, 118], [255, 238, 230]],
  line: "#78beff",
  against: "#ff9a70",
};

/** How values become colours: `top` has the last colour; `root` shows small values more clearly. */
export interface Scale {
  top: number;
  root: boolean;
}

const STEPS = 255;

export function fraction(value: number, scale: Scale): number {
  const part = scale.top > 0 ? Math.min(Math.abs(value) / scale.top, 1) : 0;
  return scale.root ? Math.sqrt(part) : part;
}

function mixed(stops: Colour[], part: number): Colour {
  const place = part * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  return stops[low].map((from, i) => Math.round(from + (stops[low + 1][i] - from) * (place - low))) as Colour;
}

export function css(colour: Colour): string {
  return `rgb(${colour.join(" ")})`;
}

export function colourOf(value: number, scale: Scale, theme: Theme): Colour {
  return mixed(value < 0 ? theme.down : theme.up, fraction(value, scale));
}

/** Colours as 32-bit pixels: 0 to STEPS of positive values, then those of negative ones, then of skipped cells. */
export class Pixels {
  private readonly table = new Uint32Array(2 * STEPS + 3);
  private readonly factor: number;

  constructor(private readonly scale: Scale, theme: Theme) {
    const pixel = ([r, g, b]: Colour) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    for (let i = 0; i <= STEPS; i++) {
      this.table[i] = pixel(mixed(theme.up, i / STEPS));
      this.table[STEPS + 1 + i] = pixel(mixed(theme.down, i / STEPS));
    }
    this.table[2 * STEPS + 2] = pixel(hexColour(theme.skipped));
    this.factor = scale.top > 0 ? 1 / scale.top : 0;
  }

  of(value: number): number {
    let part = Math.min(Math.abs(value) * this.factor, 1);
    if (this.scale.root) part = Math.sqrt(part);
    return this.table[Math.round(part * STEPS) + (value < 0 ? STEPS + 1 : 0)];
  }

  get skipped(): number {
    return this.table[2 * STEPS + 2];
  }
}

function hexColour(text: string): Colour {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)) as Colour;
}

/** Black or white, whichever reads better on the colour. */
export function inkOn([r, g, b]: Colour): string {
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000000" : "#ffffff";
}
