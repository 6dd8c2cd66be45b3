// What the three views share: what is shown, the chosen cell, and how a view answers.
import type { Grid, InspectionData, MapData } from "./data.ts";
import type { Scale } from "./colours.ts";
import type { Surface } from "./surface.ts";

export interface Cell {
  row: number;
  column: number;
}

/** What a view draws. */
export interface Scene {
  inspection: InspectionData;
  map: MapData;
  grid: Grid;
  rows: string[];
  columns: string[];
  scale: Scale;
  cell: Cell | null;
  found: Set<string>; // labels that the search matches: "row 3", "column 5"
  searching: boolean;
}

/** A view on a canvas that is `width` wide. */
export interface View {
  /** The height that it wants. */
  height(scene: Scene, width: number): number;
  draw(surface: Surface, scene: Scene, width: number, height: number): void;
  /** The cell at a place; a row or column of -1 leaves that of the chosen cell. */
  hit(scene: Scene, x: number, y: number): Cell | null;
  /** Zoom about a place of the canvas. */
  zoom(scene: Scene, factor: number, x: number, y: number): void;
  pan(scene: Scene, x: number, y: number): void;
  fit(): void;
  /** Move so that the cell is seen. */
  reveal(scene: Scene, cell: Cell): void;
  readonly zoomed: boolean;
}

export const LABEL = 12; // pixels of a label's letters
export const ROW = 15; // pixels that a label needs

export function limited(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}

/** How wide the labels are that a view shows, at most `most`; of many labels some are measured. */
export function gutter(labels: string[], most: number, measure: (text: string) => number): number {
  const step = Math.ceil(labels.length / 300);
  let widest = 14;
  for (let i = 0; i < labels.length && widest < most; i += step) widest = Math.max(widest, 1.08 * measure(labels[i]));
  return Math.min(widest, most) + 8;
}

/** What the rows or columns of a map are. */
export function axisTitle(scene: Scene, axis: "rows" | "columns"): string {
  const { map } = scene;
  const side = { output: "output", source: "input" }[map[axis]];
  if (axis === "rows") return `on: ${side}`;
  return map.columns === "output" && map.rows === "output" && scene.inspection.output.read.length ? "influence of: output so far" : `influence of: ${side}`;
}
