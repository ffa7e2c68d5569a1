// Switches between the two views by the address.

import { keepJobsLink, readAddress } from "./address.js";
import { byId } from "./dom.js";
import { HealthView } from "./health.js";
import { JobsView } from "./jobs.js";
import { prepareKey } from "./key.js";

const TITLES = { jobs: "Job recommendations", health: "Health · Job recommendations" };

prepareKey(() => location.reload());
const health = new HealthView();
const jobs = new JobsView();
let shown = null;

function show(view, isMove) {
  if (view === shown) {
    return;
  }
  shown = view;
  for (const each of Object.keys(TITLES)) {
    byId(`${each}-view`).hidden = each !== view;
    const link = document.querySelector(`nav a[href^="#${each}"]`);
    if (each === view) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  if (isMove) {
    byId(`${view}-title`).focus();
  }
  document.title = TITLES[view];
  if (view === "health") {
    keepJobsLink();
    health.enter();
  } else {
    health.leave();
  }
}

function follow(isMove) {
  const { view, search } = readAddress();
  show(view, isMove);
  if (view === "jobs") {
    jobs.enter(search);
  }
}

byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment names the view
  byId(`${shown}-title`).focus();
});
window.addEventListener("hashchange", () => follow(true));
follow(false);
// All scripts run: hide the start-up message, but keep an error from watch.js.
const broken = byId("broken");
broken.hidden = broken.classList.contains("late");
