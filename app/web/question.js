// The form: who is asked for, and by which ranking.

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
  #isRankingChosen = false;

  /** `onChange(isTyping)` is called whenever the question may have changed. */
  constructor({ onChange }) {
    this.#chips = new Chips({
      id: "skills",
      describedBy: "skills-hint",
      placeholder: "for example: arc welding",
      onChange,
    });
    byId("skills-field").append(this.#chips.field);
    byId("examples").append(...EXAMPLES.map((each) => this.#example(...each)));
    byId("question").addEventListener("submit", (event) => {
      event.preventDefault();
      onChange(false); // Enter asks at once
    });
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
    // A browser that reloads the page keeps the radio buttons.
    this.#turn();
  }

  /** `{user}` or `{skills}` with the `rank`; null while nothing is asked. */
  get() {
    const who = this.#isOfUser ? this.#askedUser() : this.#askedSkills();
    return who && { ...who, rank: this.#fields.rank.value };
  }

  /** Fill the form with such a question, or empty it. */
  set(question) {
    this.#fields.ask.value = question?.user ? "user" : "skills";
    this.#turn();
    if (!question?.skills) {
      this.#user.value = question?.user ?? "";
    }
    if (!question?.user) {
      this.#chips.set(question?.skills ?? []);
    }
    if (question?.rank) {
      this.#isRankingChosen = this.#rankBy(question.rank);
    }
  }

  /** Choose the service's own ranking unless the visitor chose one; true if it changed. */
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

  get #isOfUser() {
    return this.#fields.ask.value === "user";
  }

  #askedUser() {
    const user = this.#user.value.trim();
    return user ? { user } : null;
  }

  #askedSkills() {
    const skills = [...this.#chips.values, this.#chips.typed].filter(Boolean);
    return skills.length ? { skills } : null;
  }

  #turn() {
    byId("by-skills").hidden = this.#isOfUser;
    byId("by-user").hidden = !this.#isOfUser;
  }

  #example(name, skills) {
    const use = () => {
      this.#fields.ask.value = "skills";
      this.#turn();
      this.#chips.set([]);
      this.#chips.add(skills);
      this.#chips.focus();
    };
    return el("button", { type: "button", onclick: use }, name);
  }
}

/** The body of a request for a question with its filters. */
export const toBody = ({ user, skills, rank, filters }) => ({
  ...(user ? { user_id: user } : { skills: skills.join(", ") }),
  rank_by: rank,
  explain: true,
  ...(filters && { filters }),
});
