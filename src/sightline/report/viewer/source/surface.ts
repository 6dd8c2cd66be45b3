// Where a view draws: a canvas, or an SVG file with the same content.
import { LIGHT, type Theme } from "./colours.ts";

let font = "sans-serif";

/** Load the page's own fonts, then name them (viewer.css). */
export async function useFonts(letters: string): Promise<void> {
  await document.fonts.load("12px sightline", letters).catch(() => []);
  document.documentElement.classList.add("fonts");
  font = getComputedStyle(document.documentElement).fontFamily;
}

export interface TextStyle {
  size: number;
  fill: string;
  align?: "left" | "center" | "right";
  turned?: boolean; // upwards
  bold?: boolean;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Surface {
  readonly theme: Theme;
  rect(x: number, y: number, width: number, height: number, fill: string, opacity?: number): void;
  frame(x: number, y: number, width: number, height: number, stroke: string, width_?: number): void;
  lines(points: number[][], stroke: string, width?: number, opacity?: number): void;
  curves(ends: number[][], stroke: string, width: number, opacity: number): void;
  text(text: string, x: number, y: number, style: TextStyle): void;
  bitmap(source: HTMLCanvasElement, from: Box, to: Box, smooth?: boolean): void;
  hatch(boxes: Box[]): void;
  clip(x: number, y: number, width: number, height: number): void;
  shift(x: number, y: number): void;
  /** End the last clip or shift. */
  restore(): void;
}

const RIGHT_TO_LEFT = /\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}|\p{Script=Thaana}|\p{Script=Nko}/u;

/** The direction that `dir=auto` gives a text: that of its first letter. */
export function direction(text: string): "ltr" | "rtl" {
  const letter = text.match(/\p{L}/u);
  return letter && RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
}

const measuring = document.createElement("canvas").getContext("2d")!;

export function fontOf(size: number, bold = false): string {
  return `${bold ? "600 " : ""}${size}px ${font}`;
}

export function widthOf(text: string, size: number): number {
  measuring.font = fontOf(size);
  return measuring.measureText(text).width;
}

/** The text, shortened to a width; the ellipsis is at its end in reading order. */
export function fitted(text: string, size: number, width: number): string {
  if (widthOf(text, size) <= width) return text;
  const letters = [...text];
  let low = 0;
  let high = letters.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (widthOf(`${letters.slice(0, middle).join("")}…`, size) <= width) low = middle;
    else high = middle - 1;
  }
  return `${letters.slice(0, low).join("")}…`;
}

export class CanvasSurface implements Surface {
  private readonly context: CanvasRenderingContext2D;
  private pattern: CanvasPattern | undefined;

  constructor(readonly canvas: HTMLCanvasElement, width: number, height: number, readonly theme: Theme, ratio: number) {
    const pixels = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
    this.context = canvas.getContext("2d")!;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.globalAlpha = 1;
    this.context.fillStyle = theme.paper;
    this.context.fillRect(0, 0, width, height);
  }

  rect(x: number, y: number, width: number, height: number, fill: string, opacity = 1): void {
    this.context.globalAlpha = opacity;
    this.context.fillStyle = fill;
    this.context.fillRect(x, y, width, height);
    this.context.globalAlpha = 1;
  }

  frame(x: number, y: number, width: number, height: number, stroke: string, lineWidth = 1): void {
    this.context.strokeStyle = stroke;
    this.context.lineWidth = lineWidth;
    this.context.strokeRect(x, y, width, height);
  }

  lines(points: number[][], stroke: string, width = 1, opacity = 1): void {
    const context = this.context;
    context.beginPath();
    for (const line of points) {
      context.moveTo(line[0], line[1]);
      for (let i = 2; i < line.length; i += 2) context.lineTo(line[i], line[i + 1]);
    }
    this.stroke(stroke, width, opacity);
  }

  /** Thin curves as one path; wide ones, which browsers fill slowly where they overlap, each alone. */
  curves(ends: number[][], stroke: string, width: number, opacity: number): void {
    const { context } = this;
    context.beginPath();
    for (const [x1, y1, x2, y2] of ends) {
      const bend = (x2 - x1) / 2;
      context.moveTo(x1, y1);
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2);
      if (width <= 1) continue;
      this.stroke(stroke, width, opacity);
      context.beginPath();
    }
    if (width <= 1) this.stroke(stroke, width, opacity);
  }

  private stroke(stroke: string, width: number, opacity: number): void {
    this.context.globalAlpha = opacity;
    this.context.strokeStyle = stroke;
    this.context.lineWidth = width;
    this.context.stroke();
    this.context.globalAlpha = 1;
  }

  text(text: string, x: number, y: number, style: TextStyle): void {
    const context = this.context;
    context.font = fontOf(style.size, style.bold);
    context.fillStyle = style.fill;
    context.textAlign = style.align ?? "left";
    context.textBaseline = "middle";
    context.direction = direction(text);
    if (!style.turned) {
      context.fillText(text, x, y);
      return;
    }
    context.save();
    context.translate(x, y);
    context.rotate(-Math.PI / 2);
    context.fillText(text, 0, 0);
    context.restore();
  }

  bitmap(source: HTMLCanvasElement, from: Box, to: Box, smooth = false): void {
    this.context.imageSmoothingEnabled = smooth;
    this.context.drawImage(source, from.x, from.y, from.width, from.height, to.x, to.y, to.width, to.height);
  }

  hatch(boxes: Box[]): void {
    this.pattern ??= hatching(this.context, this.theme);
    this.context.fillStyle = this.pattern;
    this.context.beginPath();
    for (const box of boxes) this.context.rect(box.x, box.y, box.width, box.height);
    this.context.fill();
  }

  clip(x: number, y: number, width: number, height: number): void {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
  }

  shift(x: number, y: number): void {
    this.context.save();
    this.context.translate(x, y);
  }

  restore(): void {
    this.context.restore();
  }
}

function hatching(context: CanvasRenderingContext2D, theme: Theme): CanvasPattern {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const own = tile.getContext("2d")!;
  own.fillStyle = theme.skipped;
  own.fillRect(0, 0, 6, 6);
  own.strokeStyle = theme.hatch;
  own.lineWidth = 1;
  own.beginPath();
  for (const at of [-6, 0, 6]) {
    own.moveTo(at - 1, 7);
    own.lineTo(at + 7, -1);
  }
  own.stroke();
  return context.createPattern(tile, "repeat")!;
}

const number = (value: number) => Number(value.toFixed(2)).toString();

export class SvgSurface implements Surface {
  readonly theme = LIGHT;
  private readonly parts: string[] = [];
  private clips = 0;

  constructor(private readonly width: number, private readonly height: number, private readonly title: string) {
    this.rect(0, 0, width, height, this.theme.paper);
  }

  private add(name: string, attributes: Record<string, string | number | undefined>, content?: string): void {
    const written = Object.entries(attributes)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}="${escaped(typeof value === "number" ? number(value) : value!)}"`);
    this.parts.push(content === undefined ? `<${name}${written.join("")}/>` : `<${name}${written.join("")}>${content}</${name}>`);
  }

  rect(x: number, y: number, width: number, height: number, fill: string, opacity = 1): void {
    this.add("rect", { x, y, width, height, fill, "fill-opacity": opacity < 1 ? opacity : undefined });
  }

  frame(x: number, y: number, width: number, height: number, stroke: string, lineWidth = 1): void {
    this.add("rect", { x, y, width, height, fill: "none", stroke, "stroke-width": lineWidth });
  }

  lines(points: number[][], stroke: string, width = 1, opacity = 1): void {
    const d = points.map((line) => `M${line.map(number).join(" ")}`).join("");
    this.add("path", { d, fill: "none", stroke, "stroke-width": width, "stroke-opacity": opacity < 1 ? opacity : undefined });
  }

  curves(ends: number[][], stroke: string, width: number, opacity: number): void {
    const d = ends.map(([x1, y1, x2, y2]) => {
      const bend = (x2 - x1) / 2;
      return `M${[x1, y1].map(number).join(" ")}C${[x1 + bend, y1, x2 - bend, y2, x2, y2].map(number).join(" ")}`;
    });
    this.add("path", { d: d.join(""), fill: "none", stroke, "stroke-width": width, "stroke-opacity": opacity });
  }

  text(text: string, x: number, y: number, style: TextStyle): void {
    const way = direction(text);
    const anchors = { left: way === "ltr" ? "start" : "end", center: "middle", right: way === "ltr" ? "end" : "start" };
    this.add("text", {
      x,
      y,
      "font-size": style.size,
      fill: style.fill,
      "text-anchor": anchors[style.align ?? "left"],
      "dominant-baseline": "central",
      "font-weight": style.bold ? 600 : undefined,
      direction: way === "rtl" ? way : undefined,
      transform: style.turned ? `rotate(-90 ${number(x)} ${number(y)})` : undefined,
    }, escaped(text));
  }

  bitmap(source: HTMLCanvasElement, from: Box, to: Box, smooth = false): void {
    const part = document.createElement("canvas");
    const left = Math.max(0, Math.floor(from.x)), top = Math.max(0, Math.floor(from.y));
    part.width = Math.min(source.width, Math.ceil(from.x + from.width)) - left;
    part.height = Math.min(source.height, Math.ceil(from.y + from.height)) - top;
    part.getContext("2d")!.drawImage(source, -left, -top);
    const wide = to.width / from.width, high = to.height / from.height;
    this.clip(to.x, to.y, to.width, to.height);
    this.add("image", {
      x: to.x + (left - from.x) * wide,
      y: to.y + (top - from.y) * high,
      width: part.width * wide,
      height: part.height * high,
      preserveAspectRatio: "none",
      "image-rendering": smooth ? undefined : "pixelated",
      href: part.toDataURL(),
    });
    this.restore();
  }

  hatch(boxes: Box[]): void {
    for (const { x, y, width, height } of boxes) this.rect(x, y, width, height, "url(#skipped)");
  }

  clip(x: number, y: number, width: number, height: number): void {
    const id = `clip${this.clips++}`;
    this.parts.push(`<clipPath id="${id}"><rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"/></clipPath><g clip-path="url(#${id})">`);
  }

  shift(x: number, y: number): void {
    this.parts.push(`<g transform="translate(${number(x)} ${number(y)})">`);
  }

  restore(): void {
    this.parts.push("</g>");
  }

  file(): string {
    const { skipped, hatch } = this.theme;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${number(this.width)}" height="${number(this.height)}" ` +
      `viewBox="0 0 ${number(this.width)} ${number(this.height)}" font-family="${escaped(font)}" role="img"><title>${escaped(this.title)}</title>` +
      `<defs><pattern id="skipped" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="${skipped}"/>` +
      `<path d="M-1 1L1 -1M-1 7L7 -1M5 7L7 5" stroke="${hatch}"/></pattern></defs>${this.parts.join("")}</svg>`;
  }
}

function escaped(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (letter) => names[letter]).replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "");
}
