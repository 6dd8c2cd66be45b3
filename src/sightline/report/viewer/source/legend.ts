// The legend of a map: its colours and the values that they mean, on the page and in a file.
import { colourOf, css, fraction, LIGHT, type Theme } from "./colours.ts";
import { shown } from "./data.ts";
import { make } from "./page.ts";
import type { Surface } from "./surface.ts";
import type { Scene } from "./view.ts";

const WIDTH = 180, STEPS = 60;

/** The value at a part of the scale, from -1 of a map with signs, or from 0, to 1. */
function valueAt({ scale }: Scene, part: number): number {
  return Math.sign(part) * scale.top * (scale.root ? part * part : Math.abs(part));
}

/** The bar with its numbers, and what hatched cells mean; `shades` is how dark a picture or text is shaded at most, 0 where cells have colours. */
export function legend(scene: Scene, theme: Theme, shades: number): Node[] {
  const { grid, scale } = scene;
  const bar = make("canvas", { width: WIDTH, height: 10, "aria-hidden": "true" });
  const context = bar.getContext("2d")!, low = grid.signed ? -1 : 0;
  for (let x = 0; x < bar.width; x++) {
    const one = valueAt(scene, low + ((1 - low) * x) / (bar.width - 1));
    context.globalAlpha = 1;
    context.fillStyle = shades ? theme.paper : css(colourOf(one, scale, theme));
    context.fillRect(x, 0, 1, bar.height);
    if (!shades) continue;
    context.globalAlpha = shades * fraction(one, scale);
    context.fillStyle = one < 0 ? theme.against : theme.line;
    context.fillRect(x, 0, 1, bar.height);
  }
  const numbers = (grid.signed ? [-1, 0, 1] : [0, 0.5, 1]).map((part) => make("span", {}, shown(valueAt(scene, part))));
  const parts: Node[] = [make("div", { class: "scale-of" }, bar, make("div", { class: "numbers" }, ...numbers))];
  if (grid.skipped) parts.push(make("span", { class: "swatch" }, make("span", { class: "hatched" }), "skipped: the model does not look there"));
  return parts;
}

/** The legend below the map of a file. */
export function drawLegend(surface: Surface, scene: Scene, y: number): void {
  const { grid, scale } = scene, low = grid.signed ? -1 : 0;
  const colour = (i: number) => css(colourOf(valueAt(scene, low + ((1 - low) * i) / (STEPS - 1)), scale, LIGHT));
  for (let i = 0; i < STEPS; i++) surface.rect((i * WIDTH) / STEPS, y, WIDTH / STEPS + 0.3, 8, colour(i));
  const style = { size: 10, fill: LIGHT.muted };
  surface.text(shown(valueAt(scene, low)), 0, y + 17, style);
  surface.text(shown(valueAt(scene, low ? 0 : 0.5)), WIDTH / 2, y + 17, { ...style, align: "center" });
  surface.text(shown(valueAt(scene, 1)), WIDTH, y + 17, { ...style, align: "right" });
  if (!grid.skipped) return;
  surface.hatch([{ x: WIDTH + 24, y, width: 18, height: 9 }]);
  surface.text("skipped", WIDTH + 48, y + 5, style);
}
