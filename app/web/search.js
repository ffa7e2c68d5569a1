// The search form: skills or a user, and the ranking.

import { byId, el } from "./dom.js";
import { Chips } from "./chips.js";

const EXAMPLES = [
  ["Caring for elderly people", "caring for elderly people, preventing falls, giving out medicines"],
  ["Web services in Python", "Python, PostgreSQL, REST APIs, Docker"],
  ["Wooden houses", "building wooden houses, sawing beams, understanding blueprints"],
];

export class SearchForm {
  #fields = byId("search").elements;
  #user = byId("user");
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

  /** `{user}` or `{skills}` with the `rank`; null if the form is empty. */
  get() {
    const profile = this.#isByUser ? this.#userPart() : this.#skillsPart();
    return profile && { ...profile, rank: this.#fields.rank.value };
  }

  /** Fill the form with a search; null clears it. */
  set(search) {
    this.#fields.ask.value = search?.user ? "user" : "skills";
    this.#showFields();
    if (!search?.skills) {
      this.#user.value = search?.user ?? "";
    }
    if (!search?.user) {
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

  get #isByUser() {
    return this.#fields.ask.value === "user";
  }

  #userPart() {
    const user = this.#user.value.trim();
    return user ? { user } : null;
  }

  #skillsPart() {
    const skills = [...this.#chips.values, this.#chips.typed].filter(Boolean);
    return skills.length ? { skills } : null;
  }

  #showFields() {
    byId("by-skills").hidden = this.#isByUser;
    byId("by-user").hidden = !this.#isByUser;
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

/** The request body of a search with its filters. */
export const toBody = ({ user, skills, rank, filters }) => ({
  ...(user ? { user_id: user } : { skills: skills.join(", ") }),
  rank_by: rank,
  explain: true,
  ...(filters && { filters }),
});
