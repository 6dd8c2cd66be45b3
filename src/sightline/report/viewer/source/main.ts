// The page: one or two inspections side by side, with one choice of view, colours and search for both.
import { DARK, LIGHT } from "./colours.ts";
import { firstOf, type PageData, unpack } from "./data.ts";
import { choice, make, Radios } from "./page.ts";
import { Pane, SCALES, type Setting, type ViewName } from "./pane.ts";
import { useFonts } from "./surface.ts";

const INPUT_VIEWS = { text: "Text", series: "Series", audio: "Sound", image: "Picture" };

async function start(): Promise<void> {
  const place = document.getElementById("viewer")!;
  const data = await unpack(document.getElementById("inspections")!.textContent!);
  await useFonts(data.letters);
  build(place, data);
  place.dataset.ready = "";
}

function build(place: HTMLElement, { inspections }: PageData): void {
  const dark = matchMedia("(prefers-color-scheme: dark)"), print = matchMedia("print");
  const setting: Setting = { view: "matrix", scale: 0, query: "", theme: dark.matches ? DARK : LIGHT };
  let linked = inspections.length > 1;
  let following = false;
  const panes: Pane[] = [];
  const moved = (from: Pane) => {
    if (!linked || following) return;
    following = true;
    for (const pane of panes) if (pane !== from) pane.follow(from.place);
    following = false;
  };
  const first = firstOf(inspections);
  inspections.forEach((inspection, index) => panes.push(new Pane(inspection, index + 1, first[index], setting, moved)));

  const update = (theme = false) => panes.forEach((pane) => pane.update(theme));
  const names: [ViewName, string][] = [["matrix", "Matrix"], ["lines", "Lines"], ["input", INPUT_VIEWS[inspections[0].input.kind]]];
  const views = new Radios(make("div", { class: "views" }), "View", (index) => {
    setting.view = names[index][0];
    views.show(index);
    update();
  });
  for (const [, name] of names) views.group.append(views.add(make("button", {}, name), () => 1));
  views.show(0);
  const colours = choice("Colours", SCALES, (index) => {
    setting.scale = index;
    update(true);
  });
  const search = make("input", { type: "search", autocomplete: "off", spellcheck: "false", dir: "auto" });
  const counted = make("span", { class: "quiet", role: "status" });
  search.addEventListener("input", () => {
    setting.query = search.value.trim();
    update();
    const texts = panes.map((pane) => pane.counts).map(([rows, columns]) => `${rows} in rows, ${columns} in columns`);
    counted.textContent = setting.query ? [...new Set(texts)].join("; ") : "";
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const was = linked;
    linked = false;
    panes.forEach((pane) => pane.next(event.shiftKey));
    linked = was;
  });
  const bar = make("div", { class: "bar", role: "group", "aria-label": "How maps are shown" }, views.group, colours.element, make("label", { class: "choice" }, "Find a token ", search), counted);
  if (linked) {
    const box = make("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => (linked = box.checked));
    bar.append(make("label", { class: "choice" }, box, " same token in both"));
  }
  place.replaceChildren(bar, make("div", { class: `panes of-${panes.length}` }, ...panes.map(({ element }) => element)));

  const themed = () => {
    setting.theme = print.matches || !dark.matches ? LIGHT : DARK;
    update(true);
    if (print.matches) panes.forEach((pane) => pane.drawNow(LIGHT, 3));
  };
  dark.addEventListener("change", themed);
  print.addEventListener("change", themed);
}

start().catch((error: unknown) => {
  document.getElementById("viewer")!.textContent = `The maps cannot be shown: ${error instanceof Error ? error.message : error}`;
});
