"use strict";
// The page: asks the API of its own server, and shows answers, probabilities, forecasts and influence maps.
(() => {
  const at = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const FILES = {
    image: { accept: "image/*", words: "Drop a picture here, or " },
    audio: { accept: "audio/*,.wav,.flac,.ogg,.mp3", words: "Drop a sound here, or " },
    table: { accept: ".csv,text/csv", words: "Drop a CSV file here, or " },
  };
  const MOST_CHANCES = 12, MOST_CHARTS = 4;
  let models = [], read = {}, asking = null, framed = null, token = sessionStorage.getItem("sightline-token") || "";

  function make(name, attributes = {}, ...content) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...content);
    return element;
  }

  async function ask(path, body, signal) {
    const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { "Content-Type": "application/json" }) };
    let response;
    try {
      response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    } catch (error) {
      throw error.name === "AbortError" ? error : new Error("The server cannot be reached.");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    if (response.status === 401) at("locked").hidden = false;
    const words = problem.error?.message || `status ${response.status}`;
    throw new Error(response.status === 401 ? "This server needs its token." : words[0].toUpperCase() + words.slice(1) + ".");
  }

  // --- the form

  const chosen = () => [at("model").value, at("beside").value].filter(Boolean).map((id) => models.find((one) => one.id === id));
  const same = (one, other) => one.task === other.task && JSON.stringify(one.sources) === JSON.stringify(other.sources);

  function fillModels(list) {
    models = list;
    at("model").replaceChildren(...models.map(({ id }) => make("option", { value: id }, id)));
    showModel();
  }

  function showModel() {
    const model = models.find(({ id }) => id === at("model").value);
    const others = models.filter((one) => one !== model && same(one, model));
    at("beside-label").hidden = !others.length;
    at("beside").replaceChildren(make("option", { value: "" }, "no other"), ...others.map(({ id }) => make("option", { value: id }, id)));
    showFacts();
    const key = JSON.stringify(model.sources);
    if (at("sources").dataset.key !== key) {
      at("sources").dataset.key = key;
      read = {};
      at("sources").replaceChildren(...model.sources.map(source));
    }
    at("settings-of").replaceChildren(...settings(model));
    at("settings").hidden = !at("settings-of").children.length;
  }

  function showFacts() {
    const facts = ({ architecture, task, parameters }) => make("span", {}, `${architecture} for ${task}, ${parameters.toLocaleString("en")} parameters`);
    at("facts").replaceChildren(...chosen().map(facts));
    at("work").className = `of-${chosen().length}`;
  }

  function source({ name, kind }, index) {
    const id = `source-${index}`;
    const place = make("div", { class: "source" });
    const words = { text: "Text", series: "Numbers, comma-separated, or a row of them on each line", table: "Table (CSV)", image: "Picture", audio: "Sound" }[kind];
    const label = name === kind ? words : `${name} (${words.toLowerCase()})`;
    const shown = make("div", { class: "shown", hidden: "" });
    let area = null;
    if (kind === "text" || kind === "series" || kind === "table") {
      area = make("textarea", { id, dir: "auto", spellcheck: "false", class: kind === "text" ? "" : "numbers" });
      place.append(make("label", { for: id }, label), area);
      read[name] = () => (kind === "series" ? numbers(area.value) : area.value);
    } else {
      place.append(make("span", { class: "name" }, label));
      read[name] = () => { throw new Error(`Choose a file for ${label.toLowerCase()}.`); };
    }
    if (kind !== "text") {
      const accept = FILES[kind] ?? FILES.table;
      const input = make("input", { type: "file", accept: accept.accept });
      const drop = make("label", { class: "drop" }, input, accept.words, make("u", {}, "choose a file"));
      const take = (file) => file && takeFile(file, kind, name, area, shown);
      input.addEventListener("change", () => take(input.files[0]));
      for (const type of ["dragover", "dragenter"]) drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
      for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
      drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });
      place.append(drop, shown);
    }
    return place;
  }

  async function takeFile(file, kind, name, area, shown) {
    at("problem").textContent = "";
    if (area) {
      area.value = await file.text();
      shown.replaceChildren(`${file.name}, ${file.size.toLocaleString("en")} bytes`);
    } else {
      const base64 = await new Promise((done, failed) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
        reader.onerror = failed;
        reader.readAsDataURL(file);
      });
      read[name] = () => ({ base64 });
      const url = URL.createObjectURL(file);
      const view = kind === "image" ? make("img", { src: url, alt: `The picture ${file.name}` }) : make("audio", { src: url, controls: "", "aria-label": `The sound ${file.name}` });
      if (kind === "image") view.addEventListener("load", () => view.classList.toggle("small", view.naturalWidth < 100));
      shown.replaceChildren(`${file.name}, ${file.size.toLocaleString("en")} bytes`, view);
    }
    shown.hidden = false;
  }

  /** Lines of comma-separated numbers, a heading left out, as a list (T,) or (T, C). */
  function numbers(text) {
    const value = text.trim();
    if (value.startsWith("[")) {
      try { return JSON.parse(value); } catch { throw new Error("The numbers are no list in JSON."); }
    }
    const rows = value.split(/\n+/).map((line) => line.trim()).filter(Boolean).map((line) => line.split(/[,;\t ]+/));
    const wordy = (row) => row.some((cell) => cell && Number.isNaN(Number(cell)));
    if (rows.length > 1 && wordy(rows[0])) rows.shift();
    if (!rows.length || rows.some(wordy)) throw new Error("Write numbers, separated by commas, or a row of them on each line.");
    const cells = rows.map((row) => row.map((cell) => (cell ? Number(cell) : null)));
    return cells.length === 1 ? cells[0] : cells.every((row) => row.length === 1) ? cells.map(([cell]) => cell) : cells;
  }

  function settings(model) {
    const number = (name, words, attributes) => make("label", {}, words, make("input", { type: "number", "data-setting": name, ...attributes }));
    const box = (name, words) => make("label", { class: "box" }, make("input", { type: "checkbox", "data-setting": name }), words);
    if (model.continues_prompts) {
      return [number("max_new_tokens", "New tokens", { min: 1, max: model.max_new_tokens, value: Math.min(100, model.max_new_tokens) }), number("temperature", "Temperature", { min: 0, step: 0.1, placeholder: 1 }),
        number("top_k", "Top k", { min: 1 }), number("seed", "Seed", { min: 0, placeholder: 0 }), box("greedy", "always the likeliest token")];
    }
    return model.accepts_decoding ? [number("beam", "Beam", { min: 1, value: 1 }), number("max_length", "Most tokens", { min: 1, max: model.max_new_tokens })] : [];
  }

  function set() {
    const values = {};
    for (const input of at("settings-of").querySelectorAll("input")) {
      if (input.type === "checkbox") { if (input.checked) values[input.dataset.setting] = true; }
      else if (input.value !== "") values[input.dataset.setting] = Number(input.value);
    }
    return values;
  }

  // --- answers

  function card(model) {
    const body = make("div");
    const element = make("article", { class: "answer" }, make("h2", {}, model.id), body);
    return { element, body };
  }

  async function answer(model, input, body, signal) {
    if (model.continues_prompts) return generate(model, input, body, signal);
    const decoding = set();
    const request = { model: model.id, inputs: [input], ...(Object.keys(decoding).length && { decoding }) };
    const { predictions: [found] } = await (await ask("/v1/predict", request, signal)).json();
    body.replaceChildren(...(found.forecast ? forecasts(found) : found.probabilities ? labels(found) : texts(found)));
    for (const note of found.notes ?? []) body.append(make("p", { class: "note" }, note));
  }

  const percent = (share) => share >= 0.9995 && share < 1 ? "> 99.9 %" : share < 0.001 && share > 0 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;

  function texts({ output, score, finished }) {
    const parts = [make("p", { class: "text", dir: "auto" }, output === null || output === "" ? "(nothing)" : String(output))];
    if (typeof score === "number") {
      parts.push(make("dl", { class: "chances" }, ...chance("Probability of this output", Math.exp(score))));
      parts.push(make("p", { class: "note" }, `Log-probability ${score.toFixed(2).replace("-", "−")} nats.${finished ? "" : " It was cut off at the longest length."}`));
    }
    return parts;
  }

  function chance(name, share) {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${100 * share}%`;
    return [make("dt", {}, make("bdi", {}, name)), make("dd", { class: "track", "aria-hidden": "true" }, bar), make("dd", {}, percent(share))];
  }

  function labels({ label, labels: several, probabilities }) {
    const ranked = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
    const name = several ? several.join(", ") || "(none)" : String(label);
    const parts = [make("p", { class: "text", dir: "auto" }, name), make("dl", { class: "chances" }, ...ranked.slice(0, MOST_CHANCES).flatMap(([one, share]) => chance(one, share)))];
    if (ranked.length > MOST_CHANCES) parts.push(make("p", { class: "note" }, `The ${MOST_CHANCES} likeliest of ${ranked.length} labels.`));
    return parts;
  }

  function forecasts({ forecast, seen, every, left_out: left = [] }) {
    const key = (row) => `${row.series}\0${row.column}`;
    const groups = new Map();
    for (const row of forecast) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
    const parts = [];
    for (const [name, rows] of [...groups].slice(0, MOST_CHARTS)) {
      const before = seen.filter((row) => key(row) === name);
      const title = [rows[0].series, rows[0].column].filter(Boolean).join(", ");
      parts.push(make("figure", {}, make("figcaption", {}, `${title || "values"}: ${rows.length} steps of ${every}`), chart(before, rows, title)));
    }
    if (groups.size > MOST_CHARTS) parts.push(make("p", { class: "note" }, `The first ${MOST_CHARTS} of ${groups.size} series are drawn; the table has all.`));
    for (const { series, reason } of left) parts.push(make("p", { class: "note" }, `${series || "The series"} is left out: it has ${reason}.`));
    const names = Object.keys(forecast[0] ?? {}).filter((name) => forecast.some((row) => row[name] !== ""));
    const shown = (value) => (typeof value === "number" ? Number(value.toPrecision(5)).toLocaleString("en", { maximumSignificantDigits: 5 }) : value);
    const table = make("table", { class: "data" }, make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...forecast.slice(0, 500).map((row) => make("tr", {}, ...names.map((name) => make("td", {}, shown(row[name])))))));
    parts.push(make("details", {}, make("summary", {}, "The numbers"), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The numbers of the forecast" }, table)));
    return parts;
  }

  function chart(seen, next, title) {
    const width = 420, height = 190, left = 46, right = 8, top = 8, bottom = 26;
    const levels = Object.keys(next[0]).filter((name) => /^q\d/.test(name));
    const values = [...seen, ...next].flatMap((row) => [row.value, ...levels.map((level) => row[level] ?? row.value)]).filter(Number.isFinite);
    const low = Math.min(...values), high = Math.max(...values), spread = high - low || 1;
    const count = seen.length + next.length;
    const x = (step) => left + ((width - left - right) * step) / Math.max(1, count - 1);
    const y = (value) => top + ((height - top - bottom) * (high - value)) / spread;
    const draw = (name, attributes, ...content) => {
      const element = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.append(...content);
      return element;
    };
    const path = (rows, first, of) => rows.map((row, step) => `${step ? "L" : "M"}${x(first + step).toFixed(1)},${y(of(row)).toFixed(1)}`).join("");
    const last = next[next.length - 1];
    const label = `${title || "Values"}: the last ${seen.length} values and a forecast from ${next[0].value.toPrecision(4)} to ${last.value.toPrecision(4)}`;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const tick = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
    for (const value of [low, low + spread / 2, high]) {
      svg.append(draw("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }), draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, tick(value)));
    }
    svg.append(draw("text", { x: left, y: height - 6 }, String((seen[0] ?? next[0]).time)), draw("text", { x: width - right, y: height - 6, "text-anchor": "end" }, String(last.time)));
    if (levels.length > 1) {
      const ends = [levels[0], levels[levels.length - 1]];
      const back = next.map((row, step) => [step, row[ends[1]]]).reverse().map(([step, value]) => `L${x(seen.length + step).toFixed(1)},${y(value).toFixed(1)}`).join("");
      svg.append(draw("path", { class: "band", d: `${path(next, seen.length, (row) => row[ends[0]])}${back}Z` }));
    }
    svg.append(draw("path", { class: "seen", d: path(seen, 0, (row) => row.value) }));
    const joined = seen.length ? [seen[seen.length - 1], ...next] : next;
    svg.append(draw("path", { class: "next", d: path(joined, Math.max(0, seen.length - 1), (row) => row.value) }));
    return svg;
  }

  async function generate(model, prompt, body, signal) {
    const given = make("span", { class: "given" }, prompt), written = make("span");
    const note = make("p", { class: "note" });
    body.replaceChildren(make("p", { class: "text prompted", dir: "auto" }, given, written), note);
    const response = await ask("/v1/generate", { model: model.id, prompt, ...set() }, signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "";;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = JSON.parse(event.replace(/^data: /, ""));
        if (data.error) throw new Error(data.error.message);
        if (!data.done) { written.append(data.text); continue; }
        const ended = { end: "The model ended it.", stop: "Stopped before a stop text.", limit: "Cut off at the number of tokens." }[data.ended];
        note.textContent = `${data.tokens} tokens, log-probability ${data.score.toFixed(1).replace("-", "−")} nats, ${(data.score / Math.max(1, data.tokens)).toFixed(2).replace("-", "−")} a token. ${ended}`;
      }
    }
  }

  // --- asking

  async function submit() {
    at("problem").textContent = "";
    if (!models.length) return start();
    let input;
    const of = chosen();
    try {
      const values = Object.fromEntries(Object.entries(read).map(([name, value]) => [name, value()]));
      input = of[0].sources.length === 1 ? Object.values(values)[0] : values;
      const empty = of[0].sources.find(({ name }) => values[name] === "");
      if (empty && !of[0].continues_prompts) throw new Error(empty.kind === "text" ? "Write a text." : "Write or drop a table.");
    } catch (error) {
      at("problem").textContent = error.message;
      return;
    }
    asking?.abort();
    const own = (asking = new AbortController());
    const cards = of.map(card);
    at("answers").replaceChildren(...cards.map(({ element }) => element));
    at("stop").hidden = false;
    at("status").textContent = "Asking …";
    at("maps").setAttribute("aria-busy", "true");
    try {
      await Promise.all(of.map((model, index) => answer(model, input, cards[index].body, own.signal)));
      at("status").textContent = "Answered.";
      if (at("with-maps").checked) {
        at("status").textContent = "Answered; drawing the map …";
        const { page } = await (await ask("/v1/maps", { models: of.map(({ id }) => id), input }, own.signal)).json();
        await showMaps(page);
        at("status").textContent = "Answered.";
      } else at("maps").replaceChildren();
    } catch (error) {
      if (own === asking) {
        at("status").textContent = error.name === "AbortError" ? "Stopped." : "";
        at("problem").textContent = error.name === "AbortError" ? "" : error.message;
      }
    } finally {
      if (own === asking) { asking = null; at("stop").hidden = true; at("maps").removeAttribute("aria-busy"); }
    }
  }

  function showMaps(page) {
    const frame = make("iframe", { title: "Influence maps", src: page, sandbox: "allow-scripts allow-downloads" });
    const loaded = new Promise((done) => frame.addEventListener("load", done));
    framed = frame;
    at("maps").replaceChildren(frame);
    return loaded;
  }

  async function start() {
    at("problem").textContent = "";
    try {
      fillModels((await (await ask("/v1/models")).json()).data);
      at("locked").hidden = true;
      at("work").dataset.ready = "";
    } catch (error) {
      at("problem").textContent = error.message;
      if (!at("locked").hidden) at("token").focus();
    }
  }

  function unlock() {
    token = at("token").value.trim();
    sessionStorage.setItem("sightline-token", token);
    start();
  }

  at("ask").addEventListener("submit", (event) => { event.preventDefault(); if (document.activeElement === at("token")) unlock(); else submit(); });
  at("ask").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); }
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") asking?.abort(); });
  addEventListener("message", ({ source, data }) => {
    if (framed && source === framed.contentWindow && data.height > 0) framed.style.height = `${Math.ceil(data.height) + 2}px`;
  });
  for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
  at("stop").addEventListener("click", () => asking?.abort());
  at("unlock").addEventListener("click", unlock);
  at("model").addEventListener("change", showModel);
  at("beside").addEventListener("change", showFacts);
  start();
})();
