// Running text: the positions that read, of which one is chosen, and what it reads, shaded by its weights.
import { fraction, type Scale } from "./colours.ts";
import { shown } from "./data.ts";
import { pictured } from "./media.ts";
import { direction, type Surface, widthOf } from "./surface.ts";
import { axisTitle, type Scene } from "./view.ts";

const MOST = 5000; // tokens that are shown as text
const DARKEST = 0.45; // opacity of a shade, so that a token on it is legible in both themes
const LINE = 30;

/** The opacity of the shade of a token. */
export function textShade(value: number, scale: Scale): number {
  return DARKEST * fraction(value, scale);
}

/** A label within running text: a mark follows its letter, not the place that a label alone gives it. */
export function joined(label: string): string {
  return label.replace(/^◌(?=\p{M})/u, "");
}

/** A strip of tokens as the browser lays out text, in the direction of its first letter. */
class Strip {
  readonly element = document.createElement("div");
  readonly heading = document.createElement("p");
  private readonly text = document.createElement("p");
  private tokens: HTMLElement[] = [];
  private labels: string[] = [];

  constructor(private readonly chosen: (index: number) => void, events: string[]) {
    this.heading.className = "strip-title";
    this.text.className = "strip";
    this.element.append(this.heading, this.text);
    const token = (event: Event) => (event.target instanceof HTMLElement ? event.target.dataset.index : undefined);
    for (const kind of events) {
      this.text.addEventListener(kind, (event) => {
        const index = token(event);
        if (index !== undefined) this.chosen(Number(index));
      });
    }
  }

  show(labels: string[]): HTMLElement[] {
    if (labels === this.labels) return this.tokens;
    this.labels = labels;
    const spaced = labels.some((label) => [...label].length > 2);
    this.text.classList.toggle("spaced", spaced);
    this.text.dir = "auto";
    this.tokens = labels.slice(0, MOST).map((label, index) => {
      const element = document.createElement("span");
      element.textContent = joined(label);
      element.dataset.index = String(index);
      return element;
    });
    this.text.replaceChildren(...this.tokens.flatMap((token, index) => (index && spaced ? [document.createTextNode(" "), token] : [token])));
    return this.tokens;
  }
}

export class TextView {
  readonly element = document.createElement("div");
  private readonly above: Strip;
  private readonly below: Strip;

  constructor(chosen: (row: number, column: number) => void) {
    this.element.className = "strips";
    this.above = new Strip((row) => chosen(row, -1), ["click"]);
    this.below = new Strip((column) => chosen(-1, column), ["pointerover", "click"]);
    this.element.append(this.above.element, this.below.element);
  }

  /** `media`: a picture shows the positions of the input, but for those beside it. */
  show(scene: Scene, media: boolean): void {
    const row = scene.cell?.row ?? 0;
    const chosen = this.above.show(scene.rows);
    this.above.heading.textContent = `${axisTitle(scene, "rows")} (choose one)`;
    chosen.forEach((token, index) => {
      token.className = `${index === row ? "chosen" : ""}${scene.found.has(`row ${index}`) ? " found" : ""}`;
      token.hidden = media && scene.map.rows === "source" && pictured(scene, index) >= 0;
    });
    this.above.element.hidden = chosen.every((token) => token.hidden);
    this.below.heading.textContent = axisTitle(scene, "columns");
    const read = this.below.show(scene.columns);
    read.forEach((token, column) => {
      const value = scene.grid.at(row, column), skipped = scene.grid.isSkipped(row, column);
      const shade = skipped ? 0 : textShade(value, scene.scale);
      token.style.backgroundColor = shade > 0.004 ? `rgb(var(${value < 0 ? "--against" : "--heat"}) / ${shade.toFixed(3)})` : "";
      token.className = `${skipped ? "skipped" : ""}${column === scene.cell?.column ? " read" : ""}${scene.found.has(`column ${column}`) ? " found" : ""}`;
      token.title = skipped ? "skipped" : shown(value);
      token.hidden = media && pictured(scene, column) >= 0;
    });
    this.below.element.hidden = read.every((token) => token.hidden);
  }

  /** The lines of both strips for a file: places of tokens, from right to left where the text runs so. */
  draw(surface: Surface, scene: Scene, width: number): number {
    const row = scene.cell?.row ?? 0;
    let y = 10;
    for (const axis of ["rows", "columns"] as const) {
      surface.text(axisTitle(scene, axis), 0, y, { size: 11, fill: surface.theme.muted });
      y += 22;
      const labels = scene[axis].slice(0, MOST);
      const backwards = direction(labels.join(" ")) === "rtl";
      let at = 0;
      for (const [index, label] of labels.entries()) {
        const wide = widthOf(label, 14) + 8;
        if (at + wide > width && at > 0) [at, y] = [0, y + LINE];
        const x = backwards ? width - at - wide : at;
        const value = axis === "columns" ? scene.grid.at(row, index) : 0;
        const skipped = axis === "columns" && scene.grid.isSkipped(row, index);
        if (skipped) surface.hatch([{ x, y: y - 11, width: wide - 2, height: 22 }]);
        else if (value) surface.rect(x, y - 11, wide - 2, 22, value < 0 ? surface.theme.against : surface.theme.line, textShade(value, scene.scale));
        if (axis === "rows" && index === row) surface.frame(x, y - 11, wide - 2, 22, surface.theme.mark, 2);
        surface.text(label, x + (wide - 2) / 2, y, { size: 14, fill: surface.theme.ink, align: "center" });
        at += wide + 2;
      }
      y += LINE;
    }
    return y - 8;
  }
}
