// The search form: skills, a text or a user, and the ranking.

import { byId, el } from "./dom.js";
import { Chips } from "./chips.js";

const EXAMPLES = [
  ["Caring for elderly people", "caring for elderly people, preventing falls, giving out medicines"],
  ["Web services in Python", "Python, PostgreSQL, REST APIs, Docker"],
  ["Wooden houses", "building wooden houses, sawing beams, understanding blueprints"],
];

const MODES = ["skills", "text", "user"];

export class SearchForm {
  #fields = byId("search").elements;
  #user = byId("user");
  #text = byId("text");
  #chips;
  #isRankingChosen = false;

  /** `onChange(isTyping)` is called after each possible change of the search. */
  constructor({ onChange }) {
    this.#chips = new Chips({
      id: "skills",
      describedBy: "skills-hint",
      placeholder: "for example: arc welding",
      onChange,
    });
    byId("skills-field").append(this.#chips.field);
    byId("examples").append(...EXAMPLES.map((each) => this.#example(...each)));
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      onChange(false); // Enter searches at once
    });
    this.#user.addEventListener("input", () => onChange(true));
    this.#text.addEventListener("input", () => onChange(true));
    this.#fields.ask.forEach((radio) =>
      radio.addEventListener("change", () => {
        this.#showFields();
        onChange(false);
      }),
    );
    this.#fields.rank.forEach((radio) =>
      radio.addEventListener("change", () => {
        this.#isRankingChosen = true;
        onChange(false);
      }),
    );
    // After a reload the browser restores the radio buttons.
    this.#showFields();
  }

  /** `{skills}`, `{text}` or `{user}` with the `rank`; null if the form is empty. */
  get() {
    const profile = this.#profile();
    return profile && { ...profile, rank: this.#fields.rank.value };
  }

  /** Fill the form with a search; null clears it. */
  set(search) {
    const mode = MODES.find((each) => search?.[each]) ?? "skills";
    this.#fields.ask.value = mode;
    this.#showFields();
    // A search leaves what the other fields hold; an empty one clears all.
    if (!search || mode === "user") {
      this.#user.value = search?.user ?? "";
    }
    if (!search || mode === "text") {
      this.#text.value = search?.text ?? "";
    }
    if (!search || mode === "skills") {
      this.#chips.set(search?.skills ?? []);
    }
    if (search?.rank) {
      this.#isRankingChosen = this.#rankBy(search.rank);
    }
  }

  /** Select the service's default unless the visitor chose; true if it changed. */
  suggestRanking(rankBy) {
    const before = this.#fields.rank.value;
    return !this.#isRankingChosen && this.#rankBy(rankBy) && rankBy !== before;
  }

  #rankBy(rankBy) {
    const exists = [...this.#fields.rank].some((radio) => radio.value === rankBy);
    if (exists) {
      this.#fields.rank.value = rankBy;
    }
    return exists;
  }

  #profile() {
    const mode = this.#fields.ask.value;
    if (mode !== "skills") {
      const value = (mode === "user" ? this.#user : this.#text).value.trim();
      return value ? { [mode]: value } : null;
    }
    const skills = [...this.#chips.values, this.#chips.typed].filter(Boolean);
    return skills.length ? { skills } : null;
  }

  #showFields() {
    MODES.forEach((each) => (byId(`by-${each}`).hidden = this.#fields.ask.value !== each));
  }

  #example(name, skills) {
    const use = () => {
      this.#fields.ask.value = "skills";
      this.#showFields();
      this.#chips.set([]);
      this.#chips.add(skills);
      this.#chips.focus();
    };
    return el("button", { type: "button", onclick: use }, name);
  }
}

/** The request body of a search with its filters and order. */
export const toBody = ({ user, text, skills, rank, filters, order }) => ({
  ...(user ? { user_id: user } : { skills: text ?? skills.join(", ") }),
  rank_by: rank,
  explain: true,
  ...(filters && { filters }),
  ...order,
});
