// Two columns of tokens: what is read on the left, what reads on the right, and a line for each weight.
import { fraction, type Scale } from "./colours.ts";
import type { Grid } from "./data.ts";
import { fitted, type Surface, widthOf } from "./surface.ts";
import { axisTitle, type Cell, gutter, LABEL, limited, ROW, type Scene, type View } from "./view.ts";

const STEP = 24; // pixels from token to token where there is room
export const MOST_LINES = 1000;
const MOST_WIDE = 150; // the largest of them, as wide as they are large
const MOST_OF_ROW = 40;
export const FAINTEST = 0.02; // of the largest: weights below have no line
const BUCKETS = 10; // of opacity and width, drawn together
const WIDEST = 420; // of the lines

interface Line extends Cell {
  value: number;
}

function bucketOf(value: number, scale: Scale): number {
  return Math.min(BUCKETS - 1, Math.floor(fraction(value, scale) * BUCKETS));
}

function strengthOf(bucket: number): number {
  return (bucket + 0.6) / BUCKETS;
}

function opacityOf(strength: number): number {
  return 0.18 + 0.82 * strength;
}

function hasLine(value: number, scale: Scale): boolean {
  return value !== 0 && Math.abs(value) >= scale.top * FAINTEST;
}

/** The opacity of the line of a value; 0 where it has none. */
export function lineShade(value: number, scale: Scale): number {
  return hasLine(value, scale) ? opacityOf(strengthOf(bucketOf(value, scale))) : 0;
}

export class LinesView implements View {
  private factor = 1;
  private top = 0; // the part of the content above the view, in pixels before zooming
  private area = { left: 0, right: 1, y: 0, height: 1 };
  private steps = { rows: 1, columns: 1 };
  private heaviest: number[][] = [];
  private of: Grid | undefined;

  get zoomed(): boolean {
    return this.factor > 1.001;
  }

  private base(scene: Scene, height: number): { rows: number; columns: number } {
    const { rows, columns } = scene.grid;
    const step = Math.min(STEP, height / Math.max(rows, columns));
    const content = step * Math.max(rows, columns);
    const far = Math.max(rows, columns) / Math.min(rows, columns) > 3;
    return far ? { rows: Math.min(content / rows, content), columns: content / columns } : { rows: step, columns: step };
  }

  height(scene: Scene, _width: number): number {
    const room = Math.max(160, Math.min(640, window.innerHeight * 0.72) - ROW - 8);
    return Math.ceil(ROW + 8 + Math.min(room, Math.max(...[scene.grid.rows, scene.grid.columns]) * STEP) + 2);
  }

  draw(surface: Surface, scene: Scene, width: number, height: number): void {
    const { grid } = scene;
    const measure = (text: string) => widthOf(text, LABEL);
    const most = Math.min(170, width * 0.32);
    const left = gutter(scene.columns, most, measure), right = gutter(scene.rows, most, measure);
    const inner = Math.min(WIDEST, width - left - right);
    const y = ROW + 8;
    this.area = { left, right: left + inner, y, height: height - y };
    const base = this.base(scene, this.area.height);
    const tallest = Math.max(base.rows * grid.rows, base.columns * grid.columns);
    this.factor = limited(this.factor, 1, Math.max(1, STEP / Math.max(Math.min(base.rows, base.columns), 0.01)));
    this.top = limited(this.top, 0, tallest - this.area.height / this.factor);
    this.steps = { rows: base.rows * this.factor, columns: base.columns * this.factor };
    surface.text(axisTitle(scene, "columns"), left - 6, 8, { size: 11, fill: surface.theme.muted, align: left > 60 ? "right" : "left" });
    surface.text(axisTitle(scene, "rows"), this.area.right + 6, 8, { size: 11, fill: surface.theme.muted });
    surface.clip(0, y, width, this.area.height);
    this.drawLines(surface, scene);
    this.labels(surface, scene, "column", left - 6, left - 8);
    this.labels(surface, scene, "row", this.area.right + 6, right - 8);
    surface.restore();
  }

  private place(axis: "row" | "column", index: number): number {
    const step = axis === "row" ? this.steps.rows : this.steps.columns;
    return this.area.y + (index + 0.5) * step - this.top * this.factor;
  }

  private span(axis: "row" | "column", count: number): [number, number] {
    const step = axis === "row" ? this.steps.rows : this.steps.columns;
    const first = Math.floor((this.top * this.factor) / step);
    return [Math.max(0, first), Math.min(count, first + Math.ceil(this.area.height / step) + 1)];
  }

  private drawLines(surface: Surface, scene: Scene): void {
    const { grid, cell, scale } = scene;
    if (this.of !== grid) [this.of, this.heaviest] = [grid, []];
    const [first, end] = this.span("row", grid.rows);
    const each = limited(Math.floor((4 * MOST_LINES) / Math.max(1, end - first)), 1, MOST_OF_ROW);
    const lines: Line[] = [];
    const add = (row: number, column: number) => {
      const value = grid.at(row, column);
      if (hasLine(value, scale)) lines.push({ row, column, value });
    };
    for (let row = first; row < end; row++) {
      if (cell?.row !== row) for (const column of (this.heaviest[row] ??= grid.heaviest(row, MOST_OF_ROW)).slice(0, each)) add(row, column);
    }
    this.stroke(surface, scene, lines, cell ? 0.12 : 1);
    if (!cell) return;
    lines.length = 0;
    for (const column of grid.heaviest(cell.row, MOST_WIDE)) add(cell.row, column);
    this.stroke(surface, scene, lines, 1);
  }

  /** The largest of the lines, in groups of about the same strength. */
  private stroke(surface: Surface, scene: Scene, lines: Line[], opacity: number): void {
    const largest = lines.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, MOST_LINES);
    const groups = new Map<string, number[][]>();
    largest.forEach(({ row, column, value }, rank) => {
      const key = `${bucketOf(value, scene.scale)} ${value < 0} ${rank < MOST_WIDE}`;
      const ends = groups.get(key) ?? [];
      ends.push([this.area.left, this.place("column", column), this.area.right, this.place("row", row)]);
      groups.set(key, ends);
    });
    for (const [key, ends] of [...groups].reverse()) {
      const [bucket, negative, wide] = key.split(" ");
      const strength = strengthOf(Number(bucket));
      const stroke = negative === "true" ? surface.theme.against : surface.theme.line;
      surface.curves(ends, stroke, wide === "true" ? 0.6 + 3.6 * strength : Math.min(1, 0.6 + 3.6 * strength), opacityOf(strength) * opacity);
    }
  }

  private labels(surface: Surface, scene: Scene, axis: "row" | "column", x: number, room: number): void {
    const labels = axis === "row" ? scene.rows : scene.columns;
    const [first, end] = this.span(axis, labels.length);
    const size = axis === "row" ? this.steps.rows : this.steps.columns;
    const step = Math.max(1, Math.ceil(ROW / size - 0.2));
    const chosen = scene.cell?.[axis] ?? -1;
    const draw = (index: number) => {
      const found = scene.found.has(`${axis} ${index}`);
      const { theme } = surface;
      const fill = index === chosen ? theme.mark : scene.searching && !found ? theme.muted : theme.ink;
      const text = fitted(labels[index], LABEL, room);
      const y = this.place(axis, index);
      if (found) {
        const width = widthOf(text, LABEL);
        surface.rect(axis === "row" ? x - 2 : x - width - 2, y - 8, width + 4, 16, theme.found, 0.35);
      }
      surface.text(text, x, y, { size: LABEL, fill, align: axis === "row" ? "left" : "right", bold: index === chosen || found });
    };
    for (let index = Math.ceil(first / step) * step; index < end; index += step) {
      if (index !== chosen && chosen >= 0 && Math.abs(index - chosen) * size < ROW - 3) continue;
      draw(index);
    }
    if (chosen >= first && chosen < end && chosen % step) draw(chosen);
  }

  hit(scene: Scene, x: number, y: number): Cell | null {
    const { left, right, y: top, height } = this.area;
    if (y < top || y > top + height) return null;
    const at = y - top + this.top * this.factor;
    const row = Math.floor(at / this.steps.rows), column = Math.floor(at / this.steps.columns);
    const part = (x - left) / (right - left);
    const inside = (index: number, count: number) => (index >= 0 && index < count ? index : -1);
    if (part > 0.65) return { row: inside(row, scene.grid.rows), column: -1 };
    if (part < 0.35) return { row: -1, column: inside(column, scene.grid.columns) };
    return null;
  }

  zoom(_scene: Scene, factor: number, _x: number, y: number): void {
    const at = limited(y - this.area.y, 0, this.area.height);
    const place = this.top + at / this.factor;
    this.factor = Math.max(1, this.factor * factor);
    this.top = place - at / this.factor;
  }

  pan(_scene: Scene, _x: number, y: number): void {
    this.top -= y / this.factor;
  }

  fit(): void {
    [this.factor, this.top] = [1, 0];
  }

  reveal(_scene: Scene, cell: Cell): void {
    for (const axis of ["row", "column"] as const) {
      const y = this.place(axis, cell[axis]), edge = STEP / 2;
      if (y < this.area.y + edge) this.top -= (this.area.y + edge - y) / this.factor;
      if (y > this.area.y + this.area.height - edge) this.top += (y - this.area.y - this.area.height + edge) / this.factor;
    }
  }
}
