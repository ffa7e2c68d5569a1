// The form: what is asked, as the body of a request.

import { byId, el } from "./dom.js";
import { Chips } from "./chips.js";

const EXAMPLES = [
  ["Caring for elderly people", "caring for elderly people, preventing falls, giving out medicines"],
  ["Web services in Python", "Python, PostgreSQL, REST APIs, Docker"],
  ["Wooden houses", "building wooden houses, sawing beams, understanding blueprints"],
];

export class Question {
  #fields = byId("question").elements;
  #user = byId("user");
  #chips;
  #onChange;
  #isRankingChosen = false;

  /** `onChange(isTyping)` is called whenever the question may be another one. */
  constructor({ onChange }) {
    this.#onChange = onChange;
    this.#chips = new Chips({
      id: "skills",
      describedBy: "skills-hint",
      placeholder: "for example: arc welding",
      onChange,
    });
    byId("skills-field").append(this.#chips.field);
    byId("examples").append(...EXAMPLES.map((each) => this.#example(...each)));
    byId("question").addEventListener("submit", (event) => event.preventDefault());
    this.#user.addEventListener("input", () => onChange(true));
    this.#fields.ask.forEach((radio) =>
      radio.addEventListener("change", () => {
        this.#turn();
        onChange(false);
      }),
    );
    this.#fields.rank.forEach((radio) =>
      radio.addEventListener("change", () => {
        this.#isRankingChosen = true;
        onChange(false);
      }),
    );
    // A browser that reloads the page keeps what was chosen and typed.
    this.#turn();
  }

  /** The body of a request; null while nothing is asked. */
  body(filters) {
    const who = this.#isOfUser ? this.#askedUser() : this.#askedSkills();
    if (!who) {
      return null;
    }
    const body = { ...who, rank_by: this.#fields.rank.value, explain: true };
    return filters ? { ...body, filters } : body;
  }

  /** The service's own default, unless somebody has chosen already. */
  suggestRanking(rankBy) {
    if (!this.#isRankingChosen) {
      this.#fields.rank.value = rankBy;
    }
  }

  get #isOfUser() {
    return this.#fields.ask.value === "user";
  }

  #askedUser() {
    const id = this.#user.value.trim();
    return id ? { user_id: id } : null;
  }

  #askedSkills() {
    const skills = [...this.#chips.values, this.#chips.typed].filter(Boolean);
    return skills.length ? { skills: skills.join(", ") } : null;
  }

  #turn() {
    byId("by-skills").hidden = this.#isOfUser;
    byId("by-user").hidden = !this.#isOfUser;
  }

  #example(name, skills) {
    const use = () => {
      this.#fields.ask.value = "skills";
      this.#turn();
      this.#chips.clear();
      this.#chips.add(skills);
      this.#chips.focus();
    };
    return el("button", { type: "button", onclick: use }, name);
  }
}
