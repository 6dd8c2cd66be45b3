// The matrix: rows × columns of coloured cells, from a few tokens to thousands.
import { colourOf, css, inkOn, Pixels, type Scale, type Theme } from "./colours.ts";
import { type Grid, shown } from "./data.ts";
import { fitted, type Box, type Surface, widthOf } from "./surface.ts";
import { axisTitle, type Cell, gutter, LABEL, limited, ROW, type Scene, type View } from "./view.ts";

const CELL = 30; // pixels of a cell where there is room
const THINNEST = 140; // pixels of the shorter side of a long map
const LARGEST = 72; // after zooming
const NUMBERED = 38; // from which a cell shows its number
const MOST_CELLS = 20000; // drawn one by one; more are drawn from a bitmap

export class MatrixView implements View {
  private readonly pictures = new Pictures();
  private factor = 1;
  private left = 0; // the first column that is seen, in cells
  private top = 0;
  private plot: Box = { x: 0, y: 0, width: 1, height: 1 };
  private cellWidth = 1;
  private cellHeight = 1;

  get zoomed(): boolean {
    return this.factor > 1.001;
  }

  private margins(scene: Scene, width: number): [number, number, boolean] {
    const measure = (text: string) => widthOf(text, LABEL);
    const side = gutter(scene.rows, Math.min(150, width * 0.3), measure);
    const longest = gutter(scene.columns, Math.min(130, width * 0.3), measure);
    const roomy = (width - side - ROW) / scene.columns.length;
    const turned = longest - 4 > Math.min(roomy, CELL);
    return [side + ROW, (turned ? longest : ROW + 4) + ROW, turned];
  }

  /** The size of a cell before zooming: square, unless a row or a column alone would be too thin to see. */
  private natural(scene: Scene, width: number, height: number): [number, number] {
    const { rows, columns } = scene.grid;
    const wide = Math.min(width / columns, CELL), high = Math.min(height / rows, CELL);
    const square = Math.min(wide, high);
    return [Math.max(square, Math.min(wide, THINNEST / columns)), Math.max(square, Math.min(high, THINNEST / rows))];
  }

  height(scene: Scene, width: number): number {
    const [left, top] = this.margins(scene, width);
    const [, high] = this.natural(scene, width - left - 2, Math.max(160, Math.min(640, window.innerHeight * 0.72) - top));
    return Math.ceil(top + high * scene.grid.rows + 2);
  }

  draw(surface: Surface, scene: Scene, width: number, height: number): void {
    const { grid } = scene;
    const [left, top, turned] = this.margins(scene, width);
    const room = { x: left, y: top, width: width - left - 2, height: height - top - 1 };
    const [wide, high] = this.natural(scene, room.width, room.height);
    this.factor = limited(this.factor, 1, Math.max(1, LARGEST / Math.min(wide, high)));
    this.cellWidth = wide * this.factor;
    this.cellHeight = high * this.factor;
    this.plot = { ...room, width: Math.min(room.width, grid.columns * this.cellWidth), height: Math.min(room.height, grid.rows * this.cellHeight) };
    this.left = limited(this.left, 0, grid.columns - this.plot.width / this.cellWidth);
    this.top = limited(this.top, 0, grid.rows - this.plot.height / this.cellHeight);
    surface.clip(this.plot.x, this.plot.y, this.plot.width, this.plot.height);
    if (this.seen("columns", grid) * this.seen("rows", grid) > MOST_CELLS) this.drawPicture(surface, scene);
    else this.drawCells(surface, scene);
    this.mark(surface, scene);
    surface.restore();
    surface.frame(this.plot.x - 0.5, this.plot.y - 0.5, this.plot.width + 1, this.plot.height + 1, surface.theme.muted, 1);
    this.labelRows(surface, scene, left);
    this.labelColumns(surface, scene, top, turned);
    if (scene.cell) this.markEdges(surface, scene.cell);
  }

  private seen(axis: "rows" | "columns", grid: Grid): number {
    return axis === "rows" ? Math.min(grid.rows, Math.ceil(this.plot.height / this.cellHeight) + 1) : Math.min(grid.columns, Math.ceil(this.plot.width / this.cellWidth) + 1);
  }

  private x(column: number): number {
    return this.plot.x + (column - this.left) * this.cellWidth;
  }

  private y(row: number): number {
    return this.plot.y + (row - this.top) * this.cellHeight;
  }

  private span(axis: "rows" | "columns", grid: Grid): [number, number] {
    const first = Math.floor(axis === "rows" ? this.top : this.left);
    return [first, Math.min(axis === "rows" ? grid.rows : grid.columns, first + this.seen(axis, grid) + 1)];
  }

  private drawCells(surface: Surface, scene: Scene): void {
    const { grid, scale } = scene;
    const [firstRow, endRow] = this.span("rows", grid), [firstColumn, endColumn] = this.span("columns", grid);
    const { cellWidth: wide, cellHeight: high } = this;
    const skipped: Box[] = [];
    for (let row = firstRow; row < endRow; row++) {
      let begun = -1;
      for (let column = firstColumn; column <= endColumn; column++) {
        const hidden = column < endColumn && grid.isSkipped(row, column);
        if (hidden && begun < 0) begun = column;
        if (!hidden && begun >= 0) {
          skipped.push({ x: this.x(begun), y: this.y(row), width: (column - begun) * wide, height: high });
          begun = -1;
        }
        if (column === endColumn || hidden) continue;
        const value = grid.at(row, column);
        if (value) surface.rect(this.x(column), this.y(row), wide + 0.3, high + 0.3, css(colourOf(value, scale, surface.theme)));
      }
    }
    if (skipped.length) surface.hatch(skipped);
    if (Math.min(wide, high) >= 8) this.rule(surface, firstRow, endRow, firstColumn, endColumn);
    if (wide < NUMBERED || high < 16) return;
    for (let row = firstRow; row < endRow; row++) {
      for (let column = firstColumn; column < endColumn; column++) {
        if (grid.isSkipped(row, column)) continue;
        const value = grid.at(row, column);
        const fill = inkOn(colourOf(value, scale, surface.theme));
        surface.text(shown(value), this.x(column + 0.5), this.y(row + 0.5), { size: 10.5, fill, align: "center" });
      }
    }
  }

  private rule(surface: Surface, firstRow: number, endRow: number, firstColumn: number, endColumn: number): void {
    const lines: number[][] = [];
    for (let row = firstRow; row <= endRow; row++) lines.push([this.plot.x, this.y(row), this.plot.x + this.plot.width, this.y(row)]);
    for (let column = firstColumn; column <= endColumn; column++) lines.push([this.x(column), this.plot.y, this.x(column), this.plot.y + this.plot.height]);
    surface.lines(lines, surface.theme.grid, 0.75);
  }

  private drawPicture(surface: Surface, scene: Scene): void {
    const level = Math.max(0, Math.ceil(Math.log2(0.99 / Math.min(this.cellWidth, this.cellHeight))));
    const picture = this.pictures.of(scene.grid, scene.scale, surface.theme, level);
    const wide = picture.width / scene.grid.columns, high = picture.height / scene.grid.rows;
    const from = {
      x: this.left * wide, y: this.top * high,
      width: (this.plot.width / this.cellWidth) * wide, height: (this.plot.height / this.cellHeight) * high,
    };
    surface.bitmap(picture, from, this.plot);
  }

  private mark(surface: Surface, scene: Scene): void {
    const { cell, found } = scene;
    const { x, y, width, height } = this.plot;
    const { mark, found: colour } = surface.theme;
    for (const key of found) {
      const [axis, index] = key.split(" ");
      if (axis === "row") surface.rect(x, this.y(+index), width, Math.max(this.cellHeight, 1.5), colour, 0.25);
      else surface.rect(this.x(+index), y, Math.max(this.cellWidth, 1.5), height, colour, 0.25);
    }
    if (!cell) return;
    const left = this.x(cell.column), top = this.y(cell.row), wide = Math.max(this.cellWidth, 3), high = Math.max(this.cellHeight, 3);
    surface.lines([
      [x, top, left, top], [left + wide, top, x + width, top], [x, top + high, left, top + high], [left + wide, top + high, x + width, top + high],
      [left, y, left, top], [left, top + high, left, y + height], [left + wide, y, left + wide, top], [left + wide, top + high, left + wide, y + height],
    ], mark, 1, 0.8);
    surface.frame(left, top, wide, high, mark, 2.5);
  }

  private markEdges(surface: Surface, cell: Cell): void {
    const { x, y, width, height } = this.plot;
    const row = this.y(cell.row) + this.cellHeight / 2, column = this.x(cell.column) + this.cellWidth / 2;
    if (row >= y && row <= y + height) surface.rect(x - 4, row - 4, 3, 8, surface.theme.mark);
    if (column >= x && column <= x + width) surface.rect(column - 4, y - 4, 8, 3, surface.theme.mark);
  }

  private labelRows(surface: Surface, scene: Scene, left: number): void {
    const step = Math.max(1, Math.ceil(ROW / this.cellHeight - 0.2));
    const [first, end] = this.span("rows", scene.grid);
    for (let row = Math.ceil(first / step) * step; row < end; row += step) {
      const y = this.y(row) + this.cellHeight / 2;
      if (y < this.plot.y - 0.1 || y > this.plot.y + this.plot.height + 0.1 || (scene.cell && scene.cell.row !== row && Math.abs(row - scene.cell.row) * this.cellHeight < ROW - 3)) continue;
      this.label(surface, scene, "row", row, left - 7, y, left - ROW - 4);
    }
    const cell = scene.cell;
    if (cell && cell.row % step && cell.row >= first && cell.row < end) this.label(surface, scene, "row", cell.row, left - 7, this.y(cell.row) + this.cellHeight / 2, left - ROW - 4);
    const { y, height } = this.plot;
    surface.text(fitted(axisTitle(scene, "rows"), 11, height), 8, y + height / 2, { size: 11, fill: surface.theme.muted, align: "center", turned: true });
  }

  private labelColumns(surface: Surface, scene: Scene, top: number, turned: boolean): void {
    const step = Math.max(1, Math.ceil(ROW / this.cellWidth - 0.2));
    const [first, end] = this.span("columns", scene.grid);
    const draw = (column: number) => this.label(surface, scene, "column", column, this.x(column) + this.cellWidth / 2, turned ? top - 7 : top - 13, turned ? top - ROW - 6 : this.cellWidth * step - 2, turned);
    for (let column = Math.ceil(first / step) * step; column < end; column += step) {
      const x = this.x(column) + this.cellWidth / 2;
      if (x < this.plot.x - 0.1 || x > this.plot.x + this.plot.width + 0.1 || (scene.cell && scene.cell.column !== column && Math.abs(column - scene.cell.column) * this.cellWidth < ROW - 3)) continue;
      draw(column);
    }
    const cell = scene.cell;
    if (cell && cell.column % step && cell.column >= first && cell.column < end) draw(cell.column);
    surface.text(axisTitle(scene, "columns"), this.plot.x, 8, { size: 11, fill: surface.theme.muted });
  }

  private label(surface: Surface, scene: Scene, axis: "row" | "column", index: number, x: number, y: number, room: number, turned = false): void {
    const labels = axis === "row" ? scene.rows : scene.columns;
    const chosen = scene.cell && scene.cell[axis] === index;
    const found = scene.found.has(`${axis} ${index}`);
    const fill = chosen ? surface.theme.mark : scene.searching && !found ? surface.theme.muted : surface.theme.ink;
    const align = axis === "row" ? "right" : turned ? "left" : "center";
    surface.text(fitted(labels[index], LABEL, room), x, y, { size: LABEL, fill, align, turned, bold: Boolean(chosen) || found });
  }

  hit(scene: Scene, x: number, y: number): Cell | null {
    const { plot } = this;
    const column = Math.floor(this.left + (x - plot.x) / this.cellWidth), row = Math.floor(this.top + (y - plot.y) / this.cellHeight);
    const inside = x >= plot.x && x < plot.x + plot.width, beside = y >= plot.y && y < plot.y + plot.height;
    if (!inside && !beside) return null;
    return { row: beside ? limited(row, 0, scene.grid.rows - 1) : -1, column: inside ? limited(column, 0, scene.grid.columns - 1) : -1 };
  }

  zoom(_scene: Scene, factor: number, x: number, y: number): void {
    const { plot } = this;
    const across = limited((x - plot.x) / plot.width, 0, 1), down = limited((y - plot.y) / plot.height, 0, 1);
    const column = this.left + (across * plot.width) / this.cellWidth, row = this.top + (down * plot.height) / this.cellHeight;
    const before = this.factor;
    this.factor = Math.max(1, before * factor);
    const grown = this.factor / before;
    this.left = column - (column - this.left) / grown;
    this.top = row - (row - this.top) / grown;
  }

  pan(_scene: Scene, x: number, y: number): void {
    this.left -= x / this.cellWidth;
    this.top -= y / this.cellHeight;
  }

  fit(): void {
    [this.factor, this.left, this.top] = [1, 0, 0];
  }

  reveal(_scene: Scene, cell: Cell): void {
    const wide = this.plot.width / this.cellWidth, high = this.plot.height / this.cellHeight;
    if (cell.column < this.left) this.left = cell.column;
    if (cell.column + 1 > this.left + wide) this.left = cell.column + 1 - wide;
    if (cell.row < this.top) this.top = cell.row;
    if (cell.row + 1 > this.top + high) this.top = cell.row + 1 - high;
  }
}

/** Maps as bitmaps of one pixel for a cell, and smaller ones whose pixels are the largest of their cells. */
class Pictures {
  private key: unknown[] = [];
  private levels: HTMLCanvasElement[] = [];

  of(grid: Grid, scale: Scale, theme: Theme, level: number): HTMLCanvasElement {
    const key = [grid, scale.top, scale.root, theme];
    if (key.some((part, i) => part !== this.key[i])) [this.key, this.levels] = [key, []];
    return (this.levels[level] ??= picture(grid, scale, theme, 2 ** level));
  }
}

export function picture(grid: Grid, scale: Scale, theme: Theme, side: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const width = (canvas.width = Math.ceil(grid.columns / side)), height = (canvas.height = Math.ceil(grid.rows / side));
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = new Pixels(scale, theme);
  for (let y = 0; y < height; y++) {
    const endRow = Math.min((y + 1) * side, grid.rows);
    for (let x = 0; x < width; x++) {
      const endColumn = Math.min((x + 1) * side, grid.columns);
      let largest = 0, skipped = grid.skipped !== null;
      for (let row = y * side; row < endRow; row++) {
        const base = row * grid.columns;
        for (let column = x * side; column < endColumn; column++) {
          const value = grid.values[base + column];
          if (Math.abs(value) > Math.abs(largest)) largest = value;
          if (skipped && !grid.skipped![base + column]) skipped = false;
        }
      }
      pixels[y * width + x] = skipped ? colours.skipped : colours.of(largest);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
