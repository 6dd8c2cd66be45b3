// The input itself, shaded by the weights of the chosen row: a curve, a spectrogram or a picture.
import { colourOf, css, fraction, type Scale, type Theme } from "./colours.ts";
import { type InspectionData, numbersOf, type PackedArray, shown } from "./data.ts";
import { type Box, type Surface, widthOf } from "./surface.ts";
import { type Cell, limited, type Scene, type View } from "./view.ts";

const CHANNEL = 110; // pixels of the curve of one channel
const MOST_CHANNELS = 6;
const BAND = 12; // pixels of the band in the colours of the scale
const DARKEST = 0.55; // opacity of a shade over a curve or a spectrogram
const DARKEST_PATCH = 0.8; // and over a picture

/** The opacity of the shade of a patch. */
export function patchShade(value: number, scale: Scale): number {
  return DARKEST_PATCH * fraction(value, scale);
}

/** Whether a map's columns are positions of an input that is not text. */
export function hasPicture(scene: Scene): boolean {
  const { kind, values, spectrogram, pixels, grid } = scene.inspection.input;
  if (scene.map.columns !== "source") return false;
  return (kind === "series" && values !== null) || (kind === "audio" && spectrogram !== null) || (kind === "image" && pixels !== null && grid.length === 2);
}

/** The patch of the picture, or where in it the stretch begins, that a position covers; -1 of one beside it, such as a class token. */
export function pictured(scene: Scene, index: number): number {
  const { spans, grid } = scene.inspection.input;
  const span = spans[index];
  if (span) return span[1] > span[0] ? span[0] : -1;
  return grid.length === 2 ? index - (scene.columns.length - grid[0] * grid[1]) : index;
}

export class MediaView implements View {
  private factor = 1;
  private left = 0; // the part before the view, of the whole length
  private plot: Box = { x: 0, y: 0, width: 1, height: 1 };
  private length = 1; // positions of the horizontal axis: values, frames or patches of a row
  private readonly pictures = new Map<string, HTMLCanvasElement>();
  private readonly arrays = new Map<PackedArray, Float32Array>();

  get zoomed(): boolean {
    return this.factor > 1.001;
  }

  private numbers(array: PackedArray): Float32Array {
    const known = this.arrays.get(array) ?? numbersOf(array);
    this.arrays.set(array, known);
    return known;
  }

  private rowsAreInput(scene: Scene): boolean {
    return scene.map.rows === "source";
  }

  height(scene: Scene, width: number): number {
    const { kind, values, pixels } = scene.inspection.input;
    if (kind === "series") return 26 + BAND + CHANNEL * Math.min(values!.shape[1], MOST_CHANNELS) + 24;
    if (kind === "audio") return 26 + BAND + 200 + 24;
    const [high, wide] = pixels!.shape;
    return Math.round(26 + Math.min(width, 460) * Math.min(high / wide, 1.4));
  }

  draw(surface: Surface, scene: Scene, width: number, height: number): void {
    const row = scene.cell?.row ?? 0;
    surface.text(`influence on: ${scene.rows[row]}`, 0, 9, { size: 12, fill: surface.theme.mark, bold: true });
    if (scene.inspection.input.kind === "image") this.drawImage(surface, scene, row, width, height);
    else this.drawLength(surface, scene, row, width, height);
  }

  /** From where to where a position reaches, in values or frames. */
  private span(input: InspectionData["input"], index: number, count: number, length: number): [number, number] {
    return input.spans[index] ?? [(index * length) / count, ((index + 1) * length) / count];
  }

  private x(at: number): number {
    return this.plot.x + ((at / this.length - this.left) * this.plot.width) * this.factor;
  }

  private drawLength(surface: Surface, scene: Scene, row: number, width: number, height: number): void {
    const { input, output } = scene.inspection;
    const sound = input.kind === "audio";
    const after = !sound && output.values ? output.values.shape[0] : 0;
    const own = sound ? input.spectrogram!.shape[1] : input.values!.shape[0];
    this.length = own + after;
    this.plot = { x: 52, y: 24 + BAND, width: width - 70, height: height - 24 - BAND - 24 };
    this.factor = limited(this.factor, 1, Math.max(1, this.length / 8));
    this.left = limited(this.left, 0, 1 - 1 / this.factor);
    const { x, y, width: wide, height: high } = this.plot;
    surface.clip(x, y - BAND, wide, high + BAND);
    if (sound) surface.bitmap(this.spectrogram(input.spectrogram!, surface.theme), this.visible(own, input.spectrogram!.shape[0]), this.plot, true);
    this.shade(surface, scene, row, own);
    if (!sound) this.curves(surface, scene, after);
    surface.restore();
    surface.frame(x - 0.5, y - 0.5, wide + 1, high + 1, surface.theme.muted, 1);
    this.ticks(surface, scene, own);
  }

  private visible(length: number, high: number): Box {
    return { x: this.left * length, y: 0, width: length / this.factor, height: high };
  }

  private shade(surface: Surface, scene: Scene, row: number, own: number): void {
    const { grid, scale, cell } = scene;
    const { y, height } = this.plot;
    const skipped: Box[] = [];
    for (let column = 0; column < grid.columns; column++) {
      const [first, end] = this.span(scene.inspection.input, column, grid.columns, own);
      if (end <= first) continue;
      const left = this.x(first), right = this.x(end);
      if (right < this.plot.x || left > this.plot.x + this.plot.width) continue;
      const wide = Math.max(right - left, 0.5);
      if (grid.isSkipped(row, column)) {
        skipped.push({ x: left, y: y - BAND, width: wide, height: BAND });
      } else {
        const value = grid.at(row, column);
        surface.rect(left, y - BAND, wide, BAND, css(colourOf(value, scale, surface.theme)));
        const shade = DARKEST * fraction(value, scale);
        if (shade > 0.004) surface.rect(left, y, wide, height, value < 0 ? surface.theme.against : surface.theme.line, shade);
      }
      if (scene.found.has(`column ${column}`)) surface.rect(left, y, wide, height, surface.theme.found, 0.3);
      if (cell?.column === column) surface.frame(left, y - BAND + 1, Math.max(wide, 2), height + BAND - 2, surface.theme.mark, 2);
      if (this.rowsAreInput(scene) && row === column) surface.rect(left, y + height - 5, Math.max(wide, 2), 5, surface.theme.mark);
    }
    if (skipped.length) surface.hatch(skipped);
  }

  private curves(surface: Surface, scene: Scene, after: number): void {
    const { input, output } = scene.inspection;
    const [own, channels] = input.values!.shape;
    const values = this.numbers(input.values!), later = after ? this.numbers(output.values!) : null;
    const count = Math.min(channels, MOST_CHANNELS), each = this.plot.height / count;
    for (let channel = 0; channel < count; channel++) {
      const [low, high] = this.range(values, later, channel, channels);
      const top = this.plot.y + channel * each;
      const y = (value: number) => top + 8 + (each - 16) * (1 - (value - low) / (high - low || 1));
      const line: number[] = [], next: number[] = [];
      for (let t = 0; t < own; t++) if (Number.isFinite(values[t * channels + channel])) line.push(this.x(t + 0.5), y(values[t * channels + channel]));
      for (let t = 0; t < after; t++) next.push(this.x(own + t + 0.5), y(later![t * channels + channel]));
      surface.lines([line], surface.theme.ink, 1.5);
      if (next.length) surface.lines([[...line.slice(-2), ...next]], surface.theme.against, 1.75);
      if (channel) surface.lines([[this.plot.x, top, this.plot.x + this.plot.width, top]], surface.theme.grid, 1);
      if (count > 1) surface.text(input.channels[channel] ?? `channel ${channel + 1}`, this.plot.x + 6, top + 10, { size: 11, fill: surface.theme.ink });
      if (later && !this.rowsAreInput(scene) && scene.cell && scene.grid.rows === after) {
        const step = scene.cell.row, at = [this.x(own + step + 0.5), y(later[step * channels + channel])];
        surface.rect(at[0] - 4, at[1] - 4, 8, 8, surface.theme.mark);
      }
    }
  }

  private range(values: Float32Array, later: Float32Array | null, channel: number, channels: number): [number, number] {
    let low = Infinity, high = -Infinity;
    for (const array of later ? [values, later] : [values]) {
      for (let i = channel; i < array.length; i += channels) {
        if (array[i] < low) low = array[i];
        if (array[i] > high) high = array[i];
      }
    }
    return [low, high];
  }

  private ticks(surface: Surface, scene: Scene, own: number): void {
    const { input, output } = scene.inspection;
    const style = { size: 11, fill: surface.theme.muted };
    const { x, y, width, height } = this.plot;
    if (input.kind === "audio") {
      surface.text("high", x - 6, y + 8, { ...style, align: "right" });
      surface.text("low", x - 6, y + height - 8, { ...style, align: "right" });
    } else {
      const [, channels] = input.values!.shape;
      const values = this.numbers(input.values!), later = output.values ? this.numbers(output.values) : null;
      const count = Math.min(channels, MOST_CHANNELS), each = height / count;
      for (let channel = 0; channel < count; channel++) {
        const [low, high] = this.range(values, later, channel, channels);
        surface.text(shown(high), x - 6, y + channel * each + 9, { ...style, align: "right" });
        surface.text(shown(low), x - 6, y + (channel + 1) * each - 9, { ...style, align: "right" });
      }
    }
    const first = this.left * this.length, shownLength = this.length / this.factor;
    const step = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6].map((power) => n * 10 ** power)).sort((a, b) => a - b)
      .find((one) => (one / shownLength) * width >= 56) ?? shownLength;
    const seconds = input.kind === "audio" ? input.frame_s : null;
    for (let at = Math.ceil(first / step) * step; at <= Math.min(first + shownLength, this.length); at += step) {
      const place = this.x(at);
      surface.lines([[place, y + height, place, y + height + 4]], surface.theme.muted, 1);
      surface.text(seconds ? `${shown(at * seconds)} s` : String(at), place, y + height + 13, { ...style, align: "center" });
    }
    if (output.values && this.length > own) surface.lines([[this.x(own), y, this.x(own), y + height]], surface.theme.muted, 1);
  }

  private spectrogram(array: PackedArray, theme: Theme): HTMLCanvasElement {
    return this.bitmap(`sound ${theme.dark}`, array.shape[1], array.shape[0], () => {
      const [frequencies, frames] = array.shape;
      const values = this.numbers(array);
      let low = Infinity, high = -Infinity;
      for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
      return (x, y) => {
        const part = (values[(frequencies - 1 - y) * frames + x] - low) / (high - low || 1);
        const grey = Math.round(theme.dark ? 24 + 210 * part : 252 - 222 * part);
        return [grey, grey, grey];
      };
    });
  }

  private bitmap(key: string, width: number, height: number, make: () => (x: number, y: number) => number[]): HTMLCanvasElement {
    const known = this.pictures.get(key);
    if (known) return known;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d")!, image = context.createImageData(width, height), colour = make();
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) image.data.set([...colour(x, y), 255], 4 * (y * width + x));
    context.putImageData(image, 0, 0);
    this.pictures.set(key, canvas);
    return canvas;
  }

  private drawImage(surface: Surface, scene: Scene, row: number, width: number, height: number): void {
    const array = scene.inspection.input.pixels!;
    const [high, wide, depth] = array.shape;
    const size = Math.min(width / wide, (height - 26) / high);
    this.plot = { x: 0, y: 24, width: wide * size, height: high * size };
    const picture = this.bitmap("image", wide, high, () => {
      const values = this.numbers(array);
      return (x, y) => [0, 1, 2].map((c) => values[(y * wide + x) * depth + (depth === 3 ? c : 0)]);
    });
    surface.bitmap(picture, { x: 0, y: 0, width: wide, height: high }, this.plot);
    const { grid, scale, cell, found } = scene;
    const skipped: Box[] = [];
    for (let column = 0; column < grid.columns; column++) {
      const box = this.patch(scene, column);
      if (!box) continue;
      if (grid.isSkipped(row, column)) {
        skipped.push(box);
        continue;
      }
      const value = grid.at(row, column);
      const shade = patchShade(value, scale);
      if (shade > 0.004) surface.rect(box.x, box.y, box.width, box.height, value < 0 ? surface.theme.against : surface.theme.line, shade);
      surface.frame(box.x, box.y, box.width, box.height, "rgb(128 128 128 / .35)", 0.75);
    }
    if (skipped.length) surface.hatch(skipped);
    for (let column = 0; column < grid.columns; column++) {
      const box = this.patch(scene, column);
      if (!box) continue;
      if (found.has(`column ${column}`)) surface.frame(box.x + 1, box.y + 1, box.width - 2, box.height - 2, surface.theme.found, 2);
      if (cell?.column === column) this.outline(surface, box, "#ff5a4d");
      if (this.rowsAreInput(scene) && column === row) this.outline(surface, box, "#ffd000");
    }
    if (this.rowsAreInput(scene) && this.plot.width + widthOf("yellow: the patch that looks (click to choose)", 11) + 16 < width) {
      surface.text("yellow: the patch that looks (click to choose)", this.plot.width + 12, 34, { size: 11, fill: surface.theme.muted });
      surface.text("red: the patch that is read", this.plot.width + 12, 52, { size: 11, fill: surface.theme.muted });
    }
  }

  private outline(surface: Surface, box: Box, colour: string): void {
    surface.frame(box.x, box.y, box.width, box.height, "#000000", 4);
    surface.frame(box.x, box.y, box.width, box.height, colour, 2);
  }

  /** The place of a patch; null of a position that is no patch, such as a class token. */
  private patch(scene: Scene, index: number): Box | null {
    const [rows, columns] = scene.inspection.input.grid as [number, number];
    const at = pictured(scene, index);
    if (at < 0) return null;
    const wide = this.plot.width / columns, high = this.plot.height / rows;
    return { x: this.plot.x + (at % columns) * wide, y: this.plot.y + Math.floor(at / columns) * high, width: wide, height: high };
  }

  hit(scene: Scene, x: number, y: number): Cell | null {
    const { plot } = this;
    if (x < plot.x || x > plot.x + plot.width || y < plot.y - BAND || y > plot.y + plot.height) return null;
    const { input } = scene.inspection;
    let index = -1;
    if (input.kind === "image") {
      for (let column = 0; column < scene.grid.columns; column++) {
        const box = this.patch(scene, column);
        if (box && x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height) index = column;
      }
    } else {
      const at = (this.left + (x - plot.x) / plot.width / this.factor) * this.length;
      const own = input.kind === "audio" ? input.spectrogram!.shape[1] : input.values!.shape[0];
      for (let column = 0; column < scene.grid.columns; column++) {
        const [first, end] = this.span(input, column, scene.grid.columns, own);
        if (at >= first && at < end) index = column;
      }
    }
    return index < 0 ? null : { row: -1, column: index };
  }

  zoom(scene: Scene, factor: number, x: number): void {
    if (scene.inspection.input.kind === "image") return;
    const part = limited((x - this.plot.x) / this.plot.width, 0, 1);
    const at = this.left + part / this.factor;
    this.factor = Math.max(1, this.factor * factor);
    this.left = at - part / this.factor;
  }

  pan(_scene: Scene, x: number): void {
    this.left -= x / this.plot.width / this.factor;
  }

  fit(): void {
    [this.factor, this.left] = [1, 0];
  }

  reveal(scene: Scene, cell: Cell): void {
    if (scene.inspection.input.kind === "image") return;
    const { input } = scene.inspection;
    const own = input.kind === "audio" ? input.spectrogram!.shape[1] : input.values!.shape[0];
    const [first, end] = this.span(input, cell.column, scene.grid.columns, own);
    if (first / this.length < this.left) this.left = first / this.length;
    if (end / this.length > this.left + 1 / this.factor) this.left = end / this.length - 1 / this.factor;
  }
}
