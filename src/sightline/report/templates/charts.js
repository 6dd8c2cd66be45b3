"use strict";
// The interactive charts of a page. Each `figure.chart` contains a static drawing and, as JSON, the rows of its chart
// (sightline.report.charts). The drawing stays where this script cannot run, and in print.
(() => {
  const SHAPES = [
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross",
    "M0,-.35L.65,-1L1,-.65L.35,0L1,.65L.65,1L0,.35L-.65,1L-1,.65L-.35,0L-1,-.65L-.65,-1Z",
    "M0,-1.2L.3,-.4L1.15,-.37L.47,.15L.71,.97L0,.5L-.71,.97L-.47,.15L-1.15,-.37L-.3,-.4Z",
  ];
  const DASHES = [[1, 0], [7.5, 2.5], [2.5, 2.5], [9, 2.5, 2.5, 2.5], [1, 0], [1, 0], [1, 0], [1, 0]];
  const COLOURS = 8;
  const LETTER = 6.6; // pixels of a character of an axis, about
  const colour = (index) => (index < 0 ? "var(--muted)" : `var(--s${index % COLOURS})`);
  // Beyond the colours of their own, series repeat them with another line.
  const dash = (index) => (index < COLOURS ? DASHES[index] : [4, 4]);

  /** The colour and the mark of a series. */
  const look = (chart, index) => chart.looks[index] ?? [index, index];

  const make = (tag, attributes = {}, ...children) => {
    const svg = ["svg", "path", "line"].includes(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  /** The script that draws, unpacked once; its hash stands in the page's policy. */
  let tools;
  const load = () => {
    tools ??= (async () => {
      const packed = Uint8Array.from(atob(document.getElementById("chart-tools").textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = make("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
      return globalThis.chartTools;
    })();
    return tools;
  };

  const power = (value) => {
    if (value >= 1e-3 && value < 1e6) return value.toLocaleString("en", { maximumSignificantDigits: Number.isInteger(value) ? 7 : 3 });
    const [mantissa, exponent] = value.toExponential(0).split("e");
    const raised = String(Number(exponent)).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    return mantissa === "1" ? `10${raised}` : `${mantissa}·10${raised}`;
  };

  /** About five round numbers in equal steps. */
  const steps = (low, high) => {
    const rough = (high - low) / 5 || Math.abs(low) / 5 || 1, unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * [1, 2, 5, 10].find((times) => times * unit >= rough * 0.999), first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
  };

  /** The ticks of a logarithmic axis: powers of its base; on a short one 1, 2 and 5 times powers of ten, or equal steps. */
  const ticks = (axis, rows, more) => {
    const ends = [...more, ...rows.flatMap((row) => [row[axis.field], row[`${axis.field}_low`], row[`${axis.field}_high`]])].filter((v) => v > 0);
    const low = Math.min(...ends), high = Math.max(...ends), log = (v) => Math.log(v) / Math.log(axis.log);
    const first = Math.floor(log(low)), last = Math.ceil(log(high)), every = Math.max(Math.ceil((last - first) / 9), 1);
    const powers = Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => axis.log ** (first + i * every));
    const fine = axis.log === 10 && last - first < 3 ? powers.flatMap((v) => [v, 2 * v, 5 * v]) : powers;
    const shown = fine.filter((v) => v >= low && v <= high);
    const values = (shown.length < 3 && high > low ? steps(low, high) : fine).map((v) => Number(v.toPrecision(12)));
    const names = Object.fromEntries(values.map((v) => [v, power(v)]));
    return { values, labelExpr: `${JSON.stringify(names)}[datum.value]` };
  };

  /** The title in lines of at most so many characters, where its words allow it. */
  const wrapped = (title, most) => title.split(" ").reduce((lines, word) => {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    return lines.length && longer.length <= most ? [...lines.slice(0, -1), longer] : [...lines, word];
  }, []);

  /** An axis of names at the whole numbers from 0 on. */
  const named = (axis, wide) => ({
    values: axis.labels.map((_, index) => index), labelExpr: `${JSON.stringify(axis.labels)}[datum.value]`,
    labelOverlap: false, tickCount: null, // a count would leave every second name out
    labelAngle: Math.max(...axis.labels.map((label) => label.length + 2)) * axis.labels.length * LETTER > wide ? -40 : 0,
  });

  const encoding = (axis, count, rows, most, more = []) => ({
    field: axis.field,
    type: axis.kind === "names" ? "ordinal" : "quantitative",
    title: wrapped(axis.title, most),
    sort: null,
    scale: axis.kind === "names" ? { type: "point", padding: 0.5 } : {
      ...(axis.log ? { type: "log", base: axis.log, nice: false, padding: 8 } : { type: "linear", zero: axis.zero, nice: true, reverse: axis.reverse }),
      ...(axis.domain && { domain: axis.domain, nice: false, zero: false }),
    },
    axis: {
      ...(axis.kind === "names" && { labelAngle: 0 }), ...(axis.log && ticks(axis, rows, more)),
      grid: axis.grid, labelOverlap: true, tickCount: count, ...(axis.labels.length && named(axis, most * LETTER)),
    },
  });

  /** The chart as Vega-Lite, with the chosen axes. */
  const specification = (chart, x, y, width) => {
    const counts = { x: Math.max(Math.round(width / 110), 3), y: 5 };
    const names = y.kind === "names" ? Math.max(...chart.rows.map((row) => String(row[y.field] ?? "").length)) : 6;
    const most = { x: Math.max((width - LETTER * Math.min(names, 32)) / LETTER, 16), y: Math.max(chart.height / LETTER, 16) };
    const along = chart.kind === "intervals" ? x : y; // the axis that intervals lie along
    const channel = along === x ? "x" : "y";
    const bounded = chart.rows.some((row) => row[`${along.field}_low`] !== undefined);
    const low = `${along.field}_low`, high = `${along.field}_high`;
    const shown = `indexof(hidden, datum.series) < 0 && (group == '' || datum.group == group)`;
    const rows = chart.rows.filter((row) => [x, y].every((axis) => row[axis.field] !== undefined &&
      !(axis.log && row[axis.field] <= 0)));
    const opacity = (full) => ({ condition: { test: "focus == '' || focus == datum.series", value: full }, value: 0.12 });
    const domain = chart.series, range = domain.map((_, index) => look(chart, index));
    const scaled = (value) => ({ field: "series", type: "nominal", scale: { domain, range: range.map(value) }, legend: null });
    const shared = { color: scaled(([index]) => colour(index)), detail: [{ field: "line", type: "nominal" }] };
    const flat = { value: null };
    const layer = [];
    for (const [from, to] of chart.bands) {
      layer.push({ data: { values: [{ from, to }] }, mark: { type: "rect", color: "var(--grid)", opacity: 0.6 },
        encoding: { [channel]: { field: "from", type: "quantitative" }, [`${channel}2`]: { field: "to" } } });
    }
    for (const at of chart.rules) {
      layer.push({ data: { values: [{ at }] }, mark: { type: "rule", color: "var(--muted)", strokeDash: [3, 2] },
        encoding: { [channel]: { field: "at", type: "quantitative" } } });
    }
    for (const [index, label] of chart.rule_labels.entries()) { // of horizontal rules
      layer.push({ data: { values: [{ at: chart.rules[index], label }] },
        mark: { type: "text", align: "left", baseline: "bottom", dx: 3, dy: -2, fontSize: 11, color: "var(--muted)" },
        encoding: { x: { value: 0 }, y: { field: "at", type: "quantitative" }, text: { field: "label" } } });
    }
    const more = { x: [], y: [], [channel]: [...chart.rules, ...chart.bands.flat()] };
    const positions = { x: encoding(x, counts.x, rows, most.x, more.x), y: encoding(y, counts.y, rows, most.y, more.y) };
    const interval = { [channel]: { ...positions[channel], field: low }, [`${channel}2`]: { field: high } };
    const parts = (...kinds) => [{ filter: `indexof(${JSON.stringify(kinds)}, datum.part || 'both') >= 0` }];
    if (bounded && chart.kind === "lines") {
      layer.push({ transform: parts("both", "line"), mark: { type: "area", clip: true },
        encoding: { ...positions, ...interval, ...shared, opacity: opacity(0.13) } });
      layer.push({ transform: parts("point", "interval"), mark: { type: "rule", clip: true }, encoding: { ...positions, ...interval, ...shared,
        strokeWidth: { condition: { test: "datum.part == 'interval'", value: 3.5 }, value: 1.4 }, opacity: opacity(1) } });
    } else if (bounded) {
      layer.push({ mark: { type: "rule", strokeWidth: 2.2, clip: true }, encoding: { ...positions, ...interval, ...shared, opacity: opacity(1) } });
    }
    if (chart.kind === "lines") {
      layer.push({ transform: parts("both", "line"), mark: { type: "line", strokeWidth: 1.6, clip: true }, encoding: { ...positions, ...shared,
        order: { field: x.field, type: x.kind === "names" ? "ordinal" : "quantitative", sort: null },
        strokeDash: { condition: { test: "datum.dotted", value: [1.5, 3] }, ...scaled(([index]) => dash(index)) }, opacity: opacity(1) } });
    }
    const marks = { condition: { test: "datum.part == 'point'", value: 60 }, value: chart.kind === "lines" ? 22 : 70 };
    layer.push({ transform: parts("both", "point"), mark: { type: "point", filled: true, strokeWidth: 1.2, clip: false }, encoding: { ...positions,
      detail: shared.detail, size: marks,
      shape: scaled(([, mark]) => SHAPES[mark % COLOURS]), opacity: opacity(1), stroke: shared.color,
      fill: { condition: { test: "datum.hollow", value: "var(--paper)" }, ...shared.color } } });
    if (chart.kind === "intervals") {
      layer.push({ transform: [{ filter: "isValid(datum.note)" }], mark: { type: "text", dy: -11, fontSize: 11, color: "var(--muted)" },
        encoding: { ...positions, text: { field: "note" } } });
    }
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: "container", height: chart.height, padding: 6, autosize: { type: "fit-x", contains: "padding" },
      params: [{ name: "hidden", value: [] }, { name: "focus", value: "" }, { name: "group", value: "" }],
      data: { values: rows }, transform: [{ filter: shown }], layer,
      config: {
        aria: false, background: null, font: "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif", view: { stroke: null },
        axis: { labelColor: "var(--ink)", titleColor: "var(--ink)", domainColor: "var(--muted)", tickColor: "var(--muted)",
          gridColor: "var(--grid)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 220, titleLimit: 460, titlePadding: 8 },
      },
    };
  };

  const swatch = ([index, mark], kind) => {
    const box = make("svg", { viewBox: "-14 -6 28 12", width: 28, height: 12, "aria-hidden": "true" });
    if (kind === "lines") box.append(make("line", { x1: -13, x2: 13, y1: 0, y2: 0, stroke: colour(index), "stroke-width": 2, "stroke-dasharray": dash(index).join(" ") }));
    const paths = {
      circle: "M-1,0A1,1 0 1 1 1,0A1,1 0 1 1 -1,0Z", square: "M-.9-.9H.9V.9H-.9Z", "triangle-up": "M0-1L1,.8H-1Z",
      diamond: "M0-1.2L1,0L0,1.2L-1,0Z", "triangle-down": "M0,1L1-.8H-1Z",
      cross: "M-.35-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    };
    const shape = SHAPES[mark % COLOURS];
    box.append(make("path", { d: paths[shape] ?? shape, transform: "scale(4)", fill: colour(index) }));
    return box;
  };

  const choice = (label, names, chosen) => {
    const select = make("select");
    names.forEach((name, index) => select.append(make("option", { value: index }, name)));
    select.addEventListener("change", () => chosen(Number(select.value)));
    return make("label", { class: "choice" }, `${label} `, select);
  };

  class InteractiveChart {
    constructor(figure) {
      this.figure = figure;
      this.chart = JSON.parse(figure.querySelector("script.rows").textContent);
      this.chosen = { x: 0, y: 0, group: 0 };
      this.hidden = new Set();
      this.at = null;
      this.canvas = make("div", { class: "canvas", "aria-hidden": "true" });
      this.ring = make("div", { class: "ring", hidden: "" });
      this.tip = make("div", { class: "tip", role: "status", hidden: "" });
      this.stage = make("div", { class: "stage", tabindex: "0", role: "application", "aria-roledescription": "chart",
        "aria-label": `${this.chart.description} Left and right arrow keys move along a line, up and down keys between lines.` },
      this.canvas, this.ring, this.tip);
      this.live = make("div", { class: "live" }, ...this.controls(), this.stage);
      this.listen();
    }

    controls() {
      const chart = this.chart, pick = (channel) => (index) => { this.chosen[channel] = index; this.draw(); };
      const choices = [];
      if (chart.y.length > 1) choices.push(choice("vertical", chart.y.map((axis) => axis.title), pick("y")));
      if (chart.x.length > 1) choices.push(choice("horizontal", chart.x.map((axis) => axis.title), pick("x")));
      if (chart.groups.length > 1) choices.push(choice(chart.group_label, chart.groups.map((name) => name || "all"), pick("group")));
      const parts = choices.length ? [make("div", { class: "choices" }, ...choices)] : [];
      const listed = chart.legend ? chart.series.map((name, index) => [name, index])
        .filter(([name]) => chart.rows.some((row) => row.series === name)) : [];
      if (listed.length < 2) return parts;
      this.boxes = listed.map(([name]) => make("input", { type: "checkbox", checked: "", "data-series": name }));
      const labels = listed.map(([name, index], place) => {
        const box = this.boxes[place], label = make("label", {}, box, swatch(look(chart, index), chart.kind), name);
        box.addEventListener("change", () => { this.hidden[box.checked ? "delete" : "add"](name); this.hide(); });
        for (const event of ["pointerenter", "focusin"]) label.addEventListener(event, () => this.focus(box.checked ? name : ""));
        for (const event of ["pointerleave", "focusout"]) label.addEventListener(event, () => this.focus(""));
        return label;
      });
      const all = (checked, words) => {
        const button = make("button", { type: "button" }, words);
        button.addEventListener("click", () => {
          for (const box of this.boxes) { box.checked = checked; this.hidden[checked ? "delete" : "add"](box.dataset.series); }
          this.hide();
        });
        return button;
      };
      const buttons = listed.length > 3 ? [all(true, "show all"), all(false, "hide all")] : [];
      return [...parts, make("fieldset", { class: "legend" }, make("legend", { class: "unseen" }, "Show"), ...labels, ...buttons)];
    }

    listen() {
      const stage = this.stage;
      stage.addEventListener("pointermove", (event) => this.point(event));
      stage.addEventListener("pointerdown", (event) => this.point(event));
      stage.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this.show(null); });
      stage.addEventListener("blur", () => this.show(null));
      stage.addEventListener("keydown", (event) => this.key(event));
    }

    get axes() { return [this.chart.x[this.chosen.x], this.chart.y[this.chosen.y]]; }

    async draw() {
      const { View, compile, expressionInterpreter, parse } = await load();
      const [x, y] = this.axes;
      this.show(null);
      this.view?.finalize();
      const group = this.chart.groups[this.chosen.group];
      for (const box of this.boxes ?? []) {
        box.parentElement.hidden = !this.chart.rows.some((row) => row.series === box.dataset.series && (!group || row.group === group));
      }
      if (!this.live.isConnected) { this.figure.append(this.live); this.figure.classList.add("drawn"); }
      const { spec } = compile(specification(this.chart, x, y, this.canvas.clientWidth));
      this.view = new View(parse(spec, null, { ast: true }), { expr: expressionInterpreter, renderer: "svg", hover: false });
      this.view.signal("hidden", [...this.hidden]).signal("group", this.chart.groups[this.chosen.group] ?? "");
      await this.view.initialize(this.canvas).runAsync();
      this.figure.dataset.ready = "";
    }

    hide() { this.show(null); this.view?.signal("hidden", [...this.hidden]).runAsync(); }

    focus(name) { this.view?.signal("focus", name).runAsync(); }

    /** The rows that are shown, with their places in the stage. */
    places() {
      const [x, y] = this.axes, group = this.chart.groups[this.chosen.group];
      const scales = [this.view.scale("x"), this.view.scale("y")], pad = this.view.padding(), origin = this.view.origin();
      return this.chart.rows.filter((row) => !this.hidden.has(row.series) && (!group || row.group === group) &&
        [x, y].every((axis) => row[axis.field] !== undefined && !(axis.log && row[axis.field] <= 0)))
        .map((row) => ({ row, left: pad.left + origin[0] + scales[0](row[x.field]), top: pad.top + origin[1] + scales[1](row[y.field]) }));
    }

    point(event) {
      if (!this.view) return;
      const box = this.canvas.getBoundingClientRect(), reach = 40;
      let best = null, least = reach * reach;
      for (const place of this.places()) {
        const away = (place.left - event.clientX + box.left) ** 2 + (place.top - event.clientY + box.top) ** 2;
        if (away < least) [best, least] = [place, away];
      }
      this.show(best);
    }

    key(event) {
      if (!this.view || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") return void this.show(null);
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-Infinity, 0], End: [Infinity, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      const places = this.places(), lines = [...new Set(places.map((place) => place.row.line))];
      if (!places.length) return;
      const of = (line) => places.filter((place) => place.row.line === line).sort((a, b) => a.left - b.left);
      const now = places.find((place) => place.row === this.at);
      if (!now) return void this.show(of(lines[0])[0]);
      const line = lines.indexOf(now.row.line), own = of(now.row.line), place = own.findIndex((one) => one.row === now.row);
      const single = own.length < 2; // one point for each line: all arrow keys go from line to line
      const down = step[1] || (single ? Math.sign(step[0]) : 0);
      if (down) {
        const next = of(lines[Math.min(Math.max(line + down, 0), lines.length - 1)]);
        this.show(next.reduce((a, b) => (Math.abs(b.left - now.left) < Math.abs(a.left - now.left) ? b : a)));
      } else {
        this.show(own[Math.min(Math.max(place + step[0], 0), own.length - 1)]);
      }
    }

    show(place) {
      const series = place?.row.series ?? "";
      if (this.at === (place?.row ?? null)) return;
      if ((this.at?.series ?? "") !== series) this.focus(this.chart.legend ? series : "");
      this.at = place?.row ?? null;
      this.ring.hidden = this.tip.hidden = !place;
      this.tip.textContent = place?.row.text ?? "";
      if (!place) return;
      this.ring.style.left = `${place.left}px`;
      this.ring.style.top = `${place.top}px`;
      const width = this.stage.clientWidth, wide = this.tip.offsetWidth;
      this.tip.style.left = `${Math.min(Math.max(place.left + 14 + wide > width ? place.left - 14 - wide : place.left + 14, 0), Math.max(width - wide, 0))}px`;
      this.tip.style.top = `${Math.max(place.top - this.tip.offsetHeight - 10, 0)}px`;
    }
  }

  /** The weights of a map by keyboard: arrow keys move over its cells, and what a cell says is announced. */
  const readMaps = () => {
    const said = make("div", { class: "unseen", role: "status" });
    let cell = null;
    const move = (to) => {
      cell?.classList.remove("here");
      cell = to;
      cell?.classList.add("here");
      if (!cell) return;
      const row = cell.parentElement, column = cell.closest("table").tHead.rows[0].cells[cell.cellIndex];
      said.textContent = `${row.cells[0].textContent}, ${column.textContent}: ${cell.title || "0.00"}`;
      cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    };
    document.body.append(said);
    document.querySelectorAll("table.heat[tabindex]").forEach((table) => {
      table.addEventListener("blur", () => move(null));
      table.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!step) return;
        event.preventDefault();
        const rows = [...table.tBodies[0].rows], at = cell && table.contains(cell) ? cell : null;
        const y = at ? rows.indexOf(at.parentElement) + step[0] : 0, x = at ? at.cellIndex + step[1] : 1;
        move(rows[Math.min(Math.max(y, 0), rows.length - 1)].cells[Math.min(Math.max(x, 1), rows[0].cells.length - 1)]);
      });
    });
  };
  readMaps();

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      new InteractiveChart(target).draw();
    }
  }, { rootMargin: "400px" });
  if (!("DecompressionStream" in window)) return;
  document.documentElement.classList.add("scripted");
  document.querySelectorAll("figure.chart").forEach((figure) => seen.observe(figure));
})();
