/**
 * The studio's page: which of its pages is shown follows from the address, such as #/model/diary/write.
 */

import { get, Refused } from "./studio/api.js";
import { linkButton } from "./studio/controls.js";
import { modelPage } from "./studio/model_page.js";
import { modelsPage } from "./studio/models_page.js";
import { newPage } from "./studio/new_page.js";
import { element, problemLine } from "./views/dom.js";

/** What the studio knows beside its models (studio/app.py).
 * @typedef {{version: string, folder: string, minutes_default: number, exports:
 *   import("./studio/export_page.js").ExportFormat[], labels: Record<string, string>}} StudioFacts */
/** @typedef {import("./studio/controls.js").StudioPage} StudioPage */

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
let pageNumber = 0;
/** @type {StudioPage | undefined} */
let current;

/** The page that an address names. @param {StudioFacts} facts @returns {Promise<StudioPage>} */
async function pageAt(facts) {
  const [kind, id, tab] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  if (kind === "new") return newPage(facts.minutes_default);
  if (kind === "model" && id) return modelPage(id, tab, facts);
  return modelsPage(facts.labels);
}

/** Shows the page of the address. @param {StudioFacts} facts */
async function showPage(facts) {
  const number = ++pageNumber;
  current?.leave?.();
  current = undefined;
  app.setAttribute("aria-busy", "true");
  const page = await pageAt(facts).catch(refusalPage);
  if (number !== pageNumber) return page.leave?.();
  current = page;
  app.replaceChildren(page.content);
  app.removeAttribute("aria-busy");
  const heading = app.querySelector("h1");
  document.title = `${heading?.textContent ?? "tinylm"} – tinylm studio`;
  heading?.focus();
  markLinks();
}

/** @param {Error} error @returns {StudioPage} */
function refusalPage(error) {
  if (!(error instanceof Refused)) console.error(error);
  const problem = problemLine();
  problem.textContent = error instanceof Refused ? error.message : `This page failed: ${error.message}`;
  return { content: element("div", {}, problem, linkButton("#/", "To all models")) };
}

/** Marks the link to the page that is shown. */
function markLinks() {
  const [kind = ""] = location.hash.replace(/^#\/?/, "").split("/");
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.getAttribute("href") === `#/${kind}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function openStudio() {
  const nav = /** @type {HTMLElement} */ (document.getElementById("nav"));
  nav.append(
    element("b", {}, "tinylm studio"),
    element("a", { href: "#/" }, "Models"),
    element("a", { href: "#/new" }, "New model"),
  );
  const facts = /** @type {StudioFacts} */ ({ labels: {}, ...(await get("/api/studio")) });
  addEventListener("hashchange", () => showPage(facts));
  await showPage(facts);
}

openStudio().catch((error) => app.replaceChildren(refusalPage(error).content));
