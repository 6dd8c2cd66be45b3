// One inspection: the choice of a map, the map in the chosen view, what it says, and files of it.
import { LIGHT, type Scale, type Theme } from "./colours.ts";
import { headName, type InspectionData, labelsOf, layerName, type Measure, measuresOf, searched } from "./data.ts";
import { copy, download, type FileKind, picture } from "./files.ts";
import { drawLegend, legend } from "./legend.ts";
import { FAINTEST, LinesView, MOST_LINES } from "./lines.ts";
import { MatrixView } from "./matrix.ts";
import { hasPicture, MediaView } from "./media.ts";
import { Overview, type Shown } from "./overview.ts";
import { button, choice, make } from "./page.ts";
import { cellWords, rowWords } from "./reading.ts";
import { CanvasSurface, type Surface, widthOf } from "./surface.ts";
import { joined, TextView } from "./text.ts";
import { type Cell, limited, type Scene, type View } from "./view.ts";

export const SCALES = ["to the largest value of the map", "to the largest value of all heads and layers", "small values visible (square root)"];
export type ViewName = "matrix" | "lines" | "input";
const MOST_ANSWER = 100; // tokens of the output above the maps
const KEY_PAGE = 10; // cells that Page Up and Page Down move

/** What both panes share. */
export interface Setting {
  view: ViewName;
  scale: number;
  query: string;
  theme: Theme;
}

export class Pane {
  readonly element: HTMLElement;
  private readonly measures: Measure[];
  private measure: Measure;
  private chosen: Shown;
  private cell: Cell | null = null;
  private scene!: Scene;
  private readonly views: Record<ViewName, View>;
  private readonly text: TextView;
  private readonly overview: Overview;
  private readonly canvas = make("canvas", { "aria-hidden": "true" });
  private readonly tip = make("div", { class: "tip", hidden: "", "aria-hidden": "true" });
  private readonly stage = make("div", { class: "stage", tabindex: 0, role: "application", "aria-roledescription": "influence map" }, this.canvas, this.tip);
  private readonly legend = make("div", { class: "key" });
  private readonly reading = make("p", { class: "reading", role: "status" });
  private readonly message = make("span", { class: "quiet", role: "status" });
  private readonly title = make("h3");
  private readonly meaning = make("p");
  private readonly limits = make("p", { class: "note" });
  private readonly choosing: HTMLElement;
  private planned = 0;
  private largest = new Map<Measure, number>();

  constructor(readonly inspection: InspectionData, number: number, first: number, private readonly setting: Setting, private readonly moved: (from: Pane) => void) {
    this.measures = measuresOf(inspection);
    this.measure = this.measures[first];
    this.chosen = { layer: this.measure.layers[0], head: this.measure.layers[0].first };
    this.views = { matrix: new MatrixView(), lines: new LinesView(), input: new MediaView() };
    this.text = new TextView((row, column) => this.go(this.partial({ row, column }), false));
    this.stage.prepend(this.text.element);
    this.overview = new Overview((one) => this.pick(one));
    const { model } = inspection;
    const heading = make("h2", { id: `model-${number}` }, model.name || model.architecture);
    const about = [model.architecture, model.task, `${model.parameters.toLocaleString("en")} parameters`].filter((part) => part && part !== model.name);
    const measure = choice("Map", this.measures.map(({ title }) => title), (index) => this.turn(this.measures[index]));
    measure.select.selectedIndex = first;
    this.choosing = make("details", { class: "heads-of", open: "" }, make("summary", {}, "Layers and heads"), this.overview.element);
    const tools = make("div", { class: "tools" },
      button("+", "Zoom in", () => this.zoom(1.5)), button("−", "Zoom out", () => this.zoom(1 / 1.5)), button("Fit", "Show the whole map", () => this.fit()),
      make("span", { class: "gap" }),
      button("Copy SVG", "Copy the map as SVG", () => void this.copy("svg")), button("Save SVG", "Save the map as an SVG file", () => void this.save("svg")),
      button("Copy PNG", "Copy the map as PNG", () => void this.copy("png")), button("Save PNG", "Save the map as a PNG file", () => void this.save("png")),
      this.message);
    this.element = make("section", { class: "pane", "aria-labelledby": heading.id },
      make("div", { class: "head" }, heading, make("p", { class: "note" }, about.join(" · ")), this.answer(), make("div", { class: "choices" }, measure.element), this.notes()),
      make("div", { class: "chosen-from" }, this.choosing),
      make("div", { class: "about" }, this.title, this.meaning, this.limits),
      make("div", { class: "map-of" }, this.stage, this.reading, this.legend, tools));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.stage);
    this.turn(this.measure);
  }

  private answer(): HTMLElement | string {
    const { labels, values } = this.inspection.output;
    if (!labels.length || values) return "";
    const spaced = labels.some((label) => [...label].length > 2);
    const text = labels.slice(0, MOST_ANSWER).map(joined).join(spaced ? " " : "") + (labels.length > MOST_ANSWER ? " …" : "");
    return make("p", { class: "answer" }, "Output: ", make("bdi", {}, text));
  }

  /** Which methods or layers have no map, and why. */
  private notes(): HTMLElement | string {
    const { notes } = this.inspection;
    if (!notes.length) return "";
    return make("details", {}, make("summary", {}, "Not shown, and why"), make("ul", { class: "note" }, ...notes.map((note) => make("li", {}, note))));
  }

  /** The chosen cell, with the labels along both axes, by which another pane finds its own. */
  get place(): { cell: Cell | null; rows: string[]; columns: string[] } {
    return { cell: this.cell, rows: this.scene.rows, columns: this.scene.columns };
  }

  /** Choose the row and column that another pane has chosen, where the tokens are the same. */
  follow({ cell, rows, columns }: Pane["place"]): void {
    const same = (mine: string[], theirs: string[]) => mine.length === theirs.length && mine.every((label, i) => label === theirs[i]);
    const row = cell && same(rows, this.scene.rows) ? cell.row : -1, column = cell && same(columns, this.scene.columns) ? cell.column : -1;
    if (row < 0 && column < 0) return;
    this.cell = this.partial({ row, column });
    this.refresh();
  }

  private turn(measure: Measure): void {
    this.measure = measure;
    this.overview.fill(measure.layers);
    const kept = measure.layers.find((layer) => layer.data.layer === this.chosen.layer.data.layer) ?? measure.layers[0];
    this.choosing.hidden = this.overview.size < 2;
    const several = this.chosen.layer.heads > 1;
    this.pick({ layer: kept, head: several && this.chosen.head < kept.heads ? this.chosen.head : kept.first });
    this.drawOverview();
  }

  private pick(one: Shown): void {
    this.chosen = one;
    const { data } = one.layer;
    this.overview.show(one);
    this.title.replaceChildren(`${this.measure.title}, ${layerName(one.layer)}${one.layer.heads > 1 ? `, ${headName(one.head)}` : ""} `, make("small", { class: "quiet" }, data.name));
    this.meaning.textContent = data.meaning;
    this.limits.textContent = data.limits;
    if (this.cell) this.cell = { row: Math.min(this.cell.row, one.layer.rows - 1), column: Math.min(this.cell.column, one.layer.columns - 1) };
    this.refresh();
  }

  private scaleOf({ layer, head }: Shown): Scale {
    if (this.setting.scale !== 1) return { top: layer.grid(head).largest, root: this.setting.scale === 2 };
    const known = this.largest.get(this.measure) ?? Math.max(...this.measure.layers.flatMap((one) => one.shown.map((each) => one.grid(each).largest)));
    this.largest.set(this.measure, known);
    return { top: known, root: false };
  }

  private drawOverview(): void {
    if (this.overview.size > 1) this.overview.draw((one) => this.scaleOf(one), this.setting.theme);
  }

  /** The setting has changed. */
  update(theme: boolean): void {
    this.refresh();
    if (theme) this.drawOverview();
  }

  private refresh(): void {
    const { layer, head } = this.chosen;
    const grid = layer.grid(head), rows = labelsOf(this.inspection, layer.data, "rows"), columns = labelsOf(this.inspection, layer.data, "columns");
    const query = searched(this.setting.query);
    const found = new Set<string>();
    if (query) {
      rows.forEach((label, i) => searched(label).includes(query) && found.add(`row ${i}`));
      columns.forEach((label, i) => searched(label).includes(query) && found.add(`column ${i}`));
    }
    this.scene = { inspection: this.inspection, map: layer.data, grid, rows, columns, scale: this.scaleOf(this.chosen), cell: this.cell, found, searching: query !== "" };
    this.stage.setAttribute("aria-label", `${this.title.textContent!.trim()}: ${grid.rows} rows, ${grid.columns} columns. Arrow keys move from cell to cell, and the value is read out.`);
    this.say();
    this.showLegend();
    this.draw();
  }

  /** How many labels the search finds in rows and in columns. */
  get counts(): [number, number] {
    const keys = [...this.scene.found];
    return [keys.filter((key) => key.startsWith("row")).length, keys.filter((key) => key.startsWith("column")).length];
  }

  /** Go to the next label that the search finds. */
  next(back: boolean): void {
    const keys = [...this.scene.found].map((key) => key.split(" "));
    if (!keys.length) return;
    const rows = keys.filter(([axis]) => axis === "row").map(([, i]) => Number(i)), columns = keys.filter(([axis]) => axis === "column").map(([, i]) => Number(i));
    const after = (places: number[], at: number) => (back ? [...places].reverse().find((i) => i < at) ?? places.at(-1) : places.find((i) => i > at) ?? places[0]);
    const cell = this.cell ?? { row: -1, column: -1 };
    const to = columns.length ? { row: Math.max(cell.row, 0), column: after(columns, cell.column)! } : { row: after(rows, cell.row)!, column: Math.max(cell.column, 0) };
    this.go(to);
  }

  private get view(): View {
    return this.views[this.setting.view];
  }

  private get textual(): boolean {
    return this.setting.view === "input" && !hasPicture(this.scene);
  }

  private draw(): void {
    if (this.planned) return;
    this.planned = requestAnimationFrame(() => {
      this.planned = 0;
      this.drawNow();
    });
  }

  drawNow(theme = this.setting.theme, ratio = Math.min(window.devicePixelRatio || 1, 2)): void {
    const input = this.setting.view === "input";
    this.text.element.hidden = !input;
    this.canvas.hidden = this.textual;
    this.stage.classList.toggle("textual", this.textual);
    if (input) this.text.show(this.scene, !this.textual);
    if (this.textual) return;
    const width = this.stage.clientWidth;
    if (width < 40) return;
    const height = this.view.height(this.scene, width);
    if (this.canvas.style.height !== `${height}px`) this.canvas.style.height = `${height}px`;
    this.view.draw(new CanvasSurface(this.canvas, width, height, theme, ratio), this.scene, width, height);
    this.stage.classList.toggle("zoomed", this.view.zoomed);
  }

  private showLegend(): void {
    const parts = legend(this.scene, this.setting.theme, this.setting.view);
    if (this.setting.view === "lines") parts.push(make("span", {}, `Lines: at most the ${MOST_LINES.toLocaleString("en")} largest weights; those below ${100 * FAINTEST} % of the largest are left out.`));
    this.legend.replaceChildren(...parts);
  }

  private say(): void {
    this.reading.textContent = this.cell ? cellWords(this.scene, this.cell) : "Point at a cell, or move to the map and press an arrow key.";
    this.reading.classList.toggle("hint", !this.cell);
  }

  private partial({ row, column }: Cell): Cell {
    const old = this.cell ?? { row: 0, column: 0 };
    return { row: row < 0 ? limited(old.row, 0, this.scene.grid.rows - 1) : row, column: column < 0 ? limited(old.column, 0, this.scene.grid.columns - 1) : column };
  }

  private go(cell: Cell, reveal = true): void {
    if (this.cell?.row === cell.row && this.cell?.column === cell.column) return;
    this.cell = cell;
    if (reveal && !this.textual) this.view.reveal({ ...this.scene, cell }, cell);
    this.scene = { ...this.scene, cell };
    this.say();
    this.draw();
    this.moved(this);
  }

  private zoom(factor: number, x = this.stage.clientWidth / 2, y = this.canvas.clientHeight / 2): void {
    const { cell } = this;
    this.view.zoom(this.scene, factor, x, y);
    if (cell && x === this.stage.clientWidth / 2) {
      this.drawNow();
      this.view.reveal(this.scene, cell);
    }
    this.draw();
  }

  private fit(): void {
    this.view.fit();
    this.draw();
  }

  private listen(): void {
    this.stage.addEventListener("keydown", (event) => this.key(event));
    const pointers = new Map<number, [number, number]>();
    let dragged = 0;
    const at = (event: { clientX: number; clientY: number }): [number, number] => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const point = (event: PointerEvent) => {
      if (event.target === this.text.element || this.text.element.contains(event.target as Node)) return this.hideTip();
      const [x, y] = at(event);
      const cell = this.view.hit(this.scene, x, y);
      if (!cell) return this.hideTip();
      const rowFirst = this.setting.view === "input" && this.scene.map.rows === "source" && this.scene.grid.rows === this.scene.grid.columns;
      this.go(this.partial(rowFirst && event.buttons ? { row: cell.column, column: -1 } : cell), false);
      this.showTip(x, y);
    };
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.target !== this.canvas) return;
      pointers.set(event.pointerId, at(event));
      dragged = 0;
      if (this.view.zoomed || event.pointerType !== "touch") this.stage.setPointerCapture(event.pointerId);
      point(event);
    });
    this.stage.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return point(event);
      const now = at(event);
      pointers.set(event.pointerId, now);
      if (pointers.size === 2) {
        const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
        const apart = (a: [number, number]) => Math.hypot(a[0] - other[0], a[1] - other[1]);
        if (apart(before) > 8) this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else if (this.view.zoomed) {
        dragged += Math.hypot(now[0] - before[0], now[1] - before[1]);
        if (dragged > 3) this.hideTip();
        this.view.pan(this.scene, now[0] - before[0], now[1] - before[1]);
        this.draw();
      } else {
        point(event);
      }
    });
    for (const kind of ["pointerup", "pointercancel"] as const) this.stage.addEventListener(kind, (event) => pointers.delete(event.pointerId));
    this.stage.addEventListener("pointerleave", () => this.hideTip());
    this.stage.addEventListener("blur", () => this.hideTip());
    this.stage.addEventListener("dblclick", (event) => !this.textual && this.zoom(2, ...at(event)));
    this.stage.addEventListener("wheel", (event) => {
      if (this.textual || (!event.ctrlKey && !event.metaKey && document.activeElement !== this.stage)) return;
      event.preventDefault();
      this.hideTip();
      this.zoom(Math.exp(-limited(event.deltaY * (event.deltaMode ? 16 : 1), -240, 240) / 400), ...at(event));
    }, { passive: false });
  }

  private key(event: KeyboardEvent): void {
    if (event.altKey || event.metaKey) return;
    const { grid } = this.scene;
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
      PageUp: [-KEY_PAGE, 0], PageDown: [KEY_PAGE, 0], Home: [event.ctrlKey ? -grid.rows : 0, -grid.columns], End: [event.ctrlKey ? grid.rows : 0, grid.columns],
    };
    const step = steps[event.key];
    if (step) {
      const from = this.cell ?? { row: 0, column: 0 };
      const to = this.cell || event.key === "End" ? { row: limited(from.row + step[0], 0, grid.rows - 1), column: limited(from.column + step[1], 0, grid.columns - 1) } : from;
      this.hideTip();
      this.go(to);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.fit();
    else if (event.key === "Enter") this.tellRow();
    else if (event.key === "m" && !event.ctrlKey) this.largestOfRow();
    else if (event.key === "Escape") this.clear();
    else return;
    event.preventDefault();
  }

  private clear(): void {
    this.cell = null;
    this.hideTip();
    this.refresh();
  }

  private largestOfRow(): void {
    const row = this.cell?.row ?? 0;
    const [column] = this.scene.grid.heaviest(row, 1);
    if (column !== undefined) this.go({ row, column });
  }

  /** Read out the largest weights of the row. */
  private tellRow(): void {
    this.reading.textContent = rowWords(this.scene, this.cell?.row ?? 0);
  }

  private showTip(x: number, y: number): void {
    this.tip.textContent = this.reading.textContent;
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth, room = this.stage.clientWidth;
    this.tip.style.left = `${limited(x + 16 + wide > room ? x - 16 - wide : x + 16, 0, room - wide)}px`;
    this.tip.style.top = `${y + this.canvas.offsetTop + 18}px`;
  }

  private hideTip(): void {
    this.tip.hidden = true;
  }

  /** The map with its title and scale, as a file shows it. */
  private async file(kind: FileKind): Promise<Blob> {
    const width = this.stage.clientWidth || this.element.clientWidth;
    const title = [this.inspection.model.name, this.title.textContent!.trim()].filter(Boolean).join(": ");
    const high = this.textual ? this.text.draw(new CanvasSurface(document.createElement("canvas"), 1, 1, LIGHT, 1), this.scene, width) : this.view.height(this.scene, width);
    const size = [Math.max(width, widthOf(title, 12) + 2), high + 62];
    const draw = (surface: Surface) => {
      surface.text(title, 0, 9, { size: 12, fill: LIGHT.ink, bold: true });
      surface.shift(0, 24);
      if (this.textual) this.text.draw(surface, this.scene, width);
      else this.view.draw(surface, this.scene, width, high);
      surface.restore();
      drawLegend(surface, this.scene, high + 32, this.setting.view);
    };
    const blob = await picture(kind, size[0], size[1], title, draw);
    this.draw();
    return blob;
  }

  private async save(kind: FileKind): Promise<void> {
    download(await this.file(kind), `${this.name}.${kind}`);
    this.message.textContent = `saved ${this.name}.${kind}`;
  }

  private get name(): string {
    const { layer, head } = this.chosen;
    const parts = [this.inspection.model.architecture, layer.data.method, layerName(layer).replaceAll(" ", ""), ...(layer.heads > 1 ? [head < 0 ? "mean" : `head${head + 1}`] : [])];
    return parts.join("-").replace(/[^\w-]+/g, "-");
  }

  private async copy(kind: FileKind): Promise<void> {
    try {
      await copy(kind, this.file(kind));
      this.message.textContent = `copied as ${kind.toUpperCase()}`;
    } catch {
      this.message.textContent = "the browser does not allow to copy: save the file instead";
    }
  }
}
