// Parts of the page and of its words.

type Attributes = Record<string, string | number>;

/** An element; texts among its content stay text. */
export function make<K extends keyof HTMLElementTagNameMap>(name: K, attributes: Attributes = {}, ...content: (Node | string)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...content);
  return element;
}

export function button(words: string, label: string, pressed: () => void): HTMLButtonElement {
  const element = make("button", { type: "button", title: label, "aria-label": label }, words);
  element.addEventListener("click", pressed);
  return element;
}

export function choice(label: string, names: string[], chosen: (index: number) => void): { element: HTMLLabelElement; select: HTMLSelectElement } {
  const select = make("select");
  names.forEach((name, index) => select.append(make("option", { value: index }, name)));
  select.addEventListener("change", () => chosen(Number(select.value)));
  return { element: make("label", { class: "choice" }, `${label} `, select), select };
}

/** Exactly one of several buttons is on; arrow keys move between them. */
export class Radios {
  readonly buttons: HTMLButtonElement[] = [];

  constructor(readonly group: HTMLElement, label: string, private readonly chosen: (index: number) => void) {
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", label);
  }

  /** A button of the group; `across` of them make a row. */
  add(element: HTMLButtonElement, across: () => number): HTMLButtonElement {
    const index = this.buttons.length;
    element.type = "button";
    element.setAttribute("role", "radio");
    element.addEventListener("click", () => this.chosen(index));
    element.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across(), ArrowDown: across() }[event.key];
      const next = this.buttons[index + (step ?? 0)];
      if (step === undefined) return;
      event.preventDefault();
      if (!next) return;
      this.chosen(this.buttons.indexOf(next));
      next.focus();
    });
    this.buttons.push(element);
    return element;
  }

  show(index: number): void {
    this.buttons.forEach((element, at) => {
      element.setAttribute("aria-checked", String(at === index));
      element.tabIndex = at === index ? 0 : -1;
    });
  }
}
