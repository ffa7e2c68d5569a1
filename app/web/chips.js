// An input whose items become chips: Enter or a comma adds the typed text.

import { announce, el, keepFocus } from "./dom.js";

const OPENING = "([{";
const CLOSING = ")]}";
const SEPARATORS = ",;\n\t|";

/** Split a text at separators outside of parentheses. */
export function splitItems(text) {
  const items = [];
  let depth = 0;
  let item = "";
  for (const character of text) {
    if (OPENING.includes(character)) {
      depth += 1;
    } else if (CLOSING.includes(character)) {
      depth = Math.max(0, depth - 1);
    }
    if (depth === 0 && SEPARATORS.includes(character)) {
      items.push(item);
      item = "";
    } else {
      item += character;
    }
  }
  return [...items, item].map((each) => each.trim()).filter(Boolean);
}

const isOpen = (text) =>
  [...text].reduce(
    (depth, c) => Math.max(0, depth + OPENING.includes(c) - CLOSING.includes(c)),
    0,
  ) > 0;

/** A chip input; `field` is its element. */
export class Chips {
  #chips = []; // {text, element, button}
  #list = el("ul", { role: "list", class: "chip-list" });
  #input;
  #placeholder;
  #onChange;

  /**
   * `onChange(isTyping)` is called after every change, with true while the text is not
   * yet a chip. `options`: the id of a datalist; its choices become chips at once.
   */
  constructor({ id, describedBy, placeholder = "", options, onChange }) {
    this.#placeholder = placeholder;
    this.#onChange = onChange;
    this.#input = el("input", {
      id,
      type: "text",
      dir: "auto",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-describedby": describedBy,
      list: options,
      placeholder,
    });
    this.#input.addEventListener("keydown", (event) => this.#onKey(event));
    this.#input.addEventListener("input", (event) => this.#onInput(event));
    // Fired when the input loses focus.
    this.#input.addEventListener("change", () => this.add(this.#input.value));
    this.field = el("div", { class: "chips" }, this.#list, this.#input);
    this.field.addEventListener("click", (event) => {
      if (event.target === this.field) {
        this.focus();
      }
    });
  }

  get values() {
    return this.#chips.map((chip) => chip.text);
  }

  /** The typed text that is not a chip yet. */
  get typed() {
    return this.#input.value.trim();
  }

  focus() {
    this.#input.focus();
  }

  /** Add the items of a text as chips; announce duplicates. */
  add(text) {
    const items = splitItems(text);
    items.forEach((item) => this.#addOne(item));
    this.#input.value = "";
    this.#showPlaceholder();
    if (items.length) {
      this.#onChange(false);
    }
  }

  /** Replace all chips, without an announcement. */
  set(texts) {
    keepFocus(
      () => {
        this.#chips = [];
        this.#list.replaceChildren();
      },
      () => this.#input,
    );
    texts.forEach((text) => this.#append(text));
    this.#input.value = "";
    this.#showPlaceholder();
  }

  #addOne(text) {
    if (this.values.some((value) => value.toLowerCase() === text.toLowerCase())) {
      announce(`${text} is already in the list.`);
      return;
    }
    this.#append(text);
    announce(`${text} added.`);
  }

  #append(text) {
    const chip = { text };
    chip.button = el("button", {
      type: "button",
      "aria-label": `Remove ${text}`,
      onclick: () => this.#remove(chip),
      onkeydown: (event) => this.#onChipKey(event, chip),
    });
    chip.element = el("li", { class: "chip" }, el("span", { dir: "auto" }, text), chip.button);
    this.#chips.push(chip);
    this.#list.append(chip.element);
  }

  #remove(chip) {
    const at = this.#chips.indexOf(chip);
    this.#chips.splice(at, 1);
    chip.element.remove();
    this.#focusAt(at); // otherwise the focus moves to the top of the page
    announce(`${chip.text} removed.`);
    this.#showPlaceholder();
    this.#onChange(false);
  }

  #focusAt(at) {
    (this.#chips[at]?.button ?? this.#input).focus();
  }

  #showPlaceholder() {
    this.#input.placeholder = this.#chips.length ? "" : this.#placeholder;
  }

  #onChipKey(event, chip) {
    const at = this.#chips.indexOf(chip);
    if (event.key === "ArrowLeft") {
      this.#focusAt(Math.max(0, at - 1));
    } else if (event.key === "ArrowRight") {
      this.#focusAt(at + 1);
    } else if (event.key === "Backspace" || event.key === "Delete") {
      event.preventDefault();
      this.#remove(chip);
    }
  }

  #onKey(event) {
    const text = this.#input.value;
    // During input-method composition; Safari reports it as key code 229.
    if (event.isComposing || event.keyCode === 229) {
      return;
    }
    const closes = event.key === "," || event.key === ";";
    if (event.key === "Enter" || (closes && !isOpen(text))) {
      event.preventDefault();
      this.add(text);
    } else if (event.key === "Backspace" && !text && this.#chips.length) {
      this.#remove(this.#chips.at(-1));
    } else if (event.key === "ArrowLeft" && !text && this.#chips.length) {
      this.#focusAt(this.#chips.length - 1);
    }
  }

  #onInput(event) {
    const text = this.#input.value;
    const chosen =
      this.#input.list && [undefined, "insertReplacementText"].includes(event.inputType);
    // A paste, or a phone's keyboard, which sends no key events.
    const closed = !isOpen(text) && /[,;|]\s*$/.test(text);
    if (!event.isComposing && (chosen || closed || splitItems(text).length > 1)) {
      this.add(text);
    } else {
      this.#onChange(true);
    }
  }
}
