// The two views and the way between them: #jobs and #health.

import { byId } from "./dom.js";
import { HealthView } from "./health.js";
import { JobsView } from "./jobs.js";
import { prepareKey } from "./key.js";

const VIEWS = { "#jobs": "jobs", "#health": "health" };

const health = new HealthView();
let shown = null;

function show(name, isMove) {
  if (name === shown) {
    return;
  }
  shown = name;
  for (const [hash, each] of Object.entries(VIEWS)) {
    byId(`${each}-view`).hidden = each !== name;
    const link = document.querySelector(`nav a[href="${hash}"]`);
    if (each === name) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  if (isMove) {
    byId(`${name}-title`).focus();
  }
  document.title = name === "health" ? "Health · Job recommendations" : "Job recommendations";
  if (name === "health") {
    health.enter();
  } else {
    health.leave();
  }
}

const asked = () => VIEWS[location.hash] ?? "jobs";

byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is shown
  byId(`${shown}-title`).focus();
});
window.addEventListener("hashchange", () => show(asked(), true));
prepareKey(() => location.reload());
new JobsView();
show(asked(), false);
