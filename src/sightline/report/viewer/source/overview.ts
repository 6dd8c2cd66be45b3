// All heads of all layers as small pictures, of which one is chosen.
import type { Scale, Theme } from "./colours.ts";
import { headName, type Layer, layerName } from "./data.ts";
import { picture } from "./matrix.ts";
import { make, Radios } from "./page.ts";

const SIDE = 44; // pixels of a picture

export interface Shown {
  layer: Layer;
  head: number;
}

export class Overview {
  readonly element = make("div", { class: "overview" });
  private shown: Shown[] = [];
  private canvases: HTMLCanvasElement[] = [];
  private radios: Radios | undefined;
  private drawing = 0;

  constructor(private readonly chosen: (shown: Shown) => void) {}

  fill(layers: Layer[]): void {
    const heads = Math.max(...layers.map((layer) => layer.shown.length));
    [this.shown, this.canvases] = [[], []];
    const group = make("div", { class: "thumbs" });
    group.style.gridTemplateColumns = `max-content repeat(${heads}, ${SIDE}px)`;
    const radios = (this.radios = new Radios(group, "Layer and head", (index) => this.chosen(this.shown[index])));
    if (heads > 1) {
      const longest = layers.find((layer) => layer.shown.length === heads)!;
      group.append(make("span", { class: "corner" }, "head"), ...longest.shown.map((head) => make("span", { class: "head" }, head < 0 ? "mean" : String(head + 1))));
    }
    layers.forEach((layer, number) => {
      const name = make("span", { class: "layer", title: layer.data.name }, layerName(layer));
      name.style.gridRow = String(number + 1 + Number(heads > 1));
      name.style.gridColumn = "1";
      group.append(name);
      layer.shown.forEach((head) => {
        const canvas = make("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
        const label = [layerName(layer), ...(layer.heads > 1 ? [headName(head)] : [])].join(", ");
        const element = radios.add(make("button", { class: "thumb", "aria-label": label, title: `${label} (${layer.data.name})` }, canvas), () => heads);
        group.append(element);
        this.canvases.push(canvas);
        this.shown.push({ layer, head });
      });
    });
    this.element.replaceChildren(group);
  }

  get size(): number {
    return this.shown.length;
  }

  show(shown: Shown): void {
    this.radios?.show(this.shown.findIndex((one) => one.layer === shown.layer && one.head === shown.head));
  }

  /** Draw the pictures, a few at a time, so that the page stays quick. */
  draw(scaleOf: (shown: Shown) => Scale, theme: Theme): void {
    const run = ++this.drawing;
    const some = (from: number) => {
      if (run !== this.drawing) return;
      const until = performance.now() + 12;
      let at = from;
      while (at < this.shown.length && performance.now() < until) this.one(at++, scaleOf, theme);
      if (at < this.shown.length) setTimeout(() => some(at));
    };
    some(0);
  }

  private one(at: number, scaleOf: (shown: Shown) => Scale, theme: Theme): void {
    const { layer, head } = this.shown[at];
    const grid = layer.grid(head);
    const side = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(grid.rows, grid.columns) / (2 * SIDE))));
    const small = picture(grid, scaleOf(this.shown[at]), theme, side);
    const canvas = this.canvases[at];
    const pixels = Math.round(SIDE * Math.min(window.devicePixelRatio || 1, 2));
    canvas.width = canvas.height = pixels;
    const context = canvas.getContext("2d")!;
    context.imageSmoothingEnabled = small.width > pixels || small.height > pixels;
    context.drawImage(small, 0, 0, pixels, pixels);
  }
}
