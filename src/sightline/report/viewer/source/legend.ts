// The legend of a map: its colours and the values that they mean, on the page and in a file.
import { colourOf, css, LIGHT, type Scale, type Theme } from "./colours.ts";
import { shown } from "./data.ts";
import { lineShade } from "./lines.ts";
import { hasPicture, patchShade } from "./media.ts";
import { make } from "./page.ts";
import type { ViewName } from "./pane.ts";
import type { Surface } from "./surface.ts";
import { textShade } from "./text.ts";
import type { Scene } from "./view.ts";

const WIDTH = 180, STEPS = 60;

/** The value at a part of the scale, from -1 of a map with signs, or from 0, to 1. */
function valueAt({ scale }: Scene, part: number): number {
  return Math.sign(part) * scale.top * (scale.root ? part * part : Math.abs(part));
}

/** The opacity at which a view draws a value in one colour over the paper; null where values have colours. */
function shadeOf(view: ViewName, scene: Scene): ((value: number, scale: Scale) => number) | null {
  if (view === "lines") return lineShade;
  if (view === "matrix") return null;
  if (!hasPicture(scene)) return textShade;
  return scene.inspection.input.kind === "image" ? patchShade : null;
}

/** The colour of a value, and its opacity over the paper. */
function inkOf(value: number, scene: Scene, theme: Theme, view: ViewName): [string, number] {
  const shade = shadeOf(view, scene);
  if (!shade) return [css(colourOf(value, scene.scale, theme)), 1];
  return [value < 0 ? theme.against : theme.line, shade(value, scene.scale)];
}

/** The bar with its numbers, and what hatched cells mean. */
export function legend(scene: Scene, theme: Theme, view: ViewName): Node[] {
  const { grid } = scene;
  const bar = make("canvas", { width: WIDTH, height: 10, "aria-hidden": "true" });
  const context = bar.getContext("2d")!, low = grid.signed ? -1 : 0;
  for (let x = 0; x < bar.width; x++) {
    const [colour, opacity] = inkOf(valueAt(scene, low + ((1 - low) * x) / (bar.width - 1)), scene, theme, view);
    context.globalAlpha = 1;
    context.fillStyle = theme.paper;
    context.fillRect(x, 0, 1, bar.height);
    context.globalAlpha = opacity;
    context.fillStyle = colour;
    context.fillRect(x, 0, 1, bar.height);
  }
  const numbers = (grid.signed ? [-1, 0, 1] : [0, 0.5, 1]).map((part) => make("span", {}, shown(valueAt(scene, part))));
  const parts: Node[] = [make("div", { class: "scale-of" }, bar, make("div", { class: "numbers" }, ...numbers))];
  if (grid.skipped) parts.push(make("span", { class: "swatch" }, make("span", { class: "hatched" }), "skipped: the model does not look there"));
  return parts;
}

/** The legend below the map of a file. */
export function drawLegend(surface: Surface, scene: Scene, y: number, view: ViewName): void {
  const { grid } = scene, low = grid.signed ? -1 : 0;
  for (let i = 0; i < STEPS; i++) {
    const [colour, opacity] = inkOf(valueAt(scene, low + ((1 - low) * i) / (STEPS - 1)), scene, LIGHT, view);
    const x = (i * WIDTH) / STEPS, width = WIDTH / STEPS + 0.3;
    if (opacity < 1) surface.rect(x, y, width, 8, LIGHT.paper); // steps overlap
    surface.rect(x, y, width, 8, colour, opacity);
  }
  const style = { size: 10, fill: LIGHT.muted };
  surface.text(shown(valueAt(scene, low)), 0, y + 17, style);
  surface.text(shown(valueAt(scene, low ? 0 : 0.5)), WIDTH / 2, y + 17, { ...style, align: "center" });
  surface.text(shown(valueAt(scene, 1)), WIDTH, y + 17, { ...style, align: "right" });
  if (!grid.skipped) return;
  surface.hatch([{ x: WIDTH + 24, y, width: 18, height: 9 }]);
  surface.text("skipped", WIDTH + 48, y + 5, style);
}
