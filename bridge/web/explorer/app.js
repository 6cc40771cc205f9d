import { readAnswer } from "./answer.js";
import { Catalog } from "./catalog.js";
import { element } from "./element.js";
import { showForm, writtenRequest } from "./form.js";
import { list, mark, streamsOf } from "./list.js";
import { clearPanel, Panel } from "./panel.js";

const AGAIN = 2000; // milliseconds until a catalog that isn't there yet is asked for again
const TITLE = document.title;
const KINDS = {
  stream: "streams its answers",
  "client stream": "takes a stream",
  bidi: "takes and answers a stream",
};

const form = document.querySelector("#request");
const send = document.querySelector("#send");
const stop = document.querySelector("#stop");
const stale = document.querySelector("#stale");
const intro = document.querySelector("#intro");
const section = document.querySelector("#method");
const name = document.querySelector("#method-name");
const service = document.querySelector("#method-service");
const kinds = document.querySelector("#method-kinds");
const description = document.querySelector("#method-description");
const routeChoice = document.querySelector("#route");

let again = 0; // the timer after which the catalog is asked for again
let described = ""; // the description of which the catalog is made
let catalog = null;
let method = null;
let route = null;
let controller = null; // of the answer that is on its way, if one is

/** Reads the catalog anew, and shows it if it has changed. */
async function load() {
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    const text = await response.text();
    stale.textContent = "";
    if (text === described) return;
    catalog = new Catalog(JSON.parse(text));
    described = text;
    list(catalog);
    show();
  } catch (error) {
    if (catalog) stale.textContent = `The methods can't be read anew: ${error.message}.`;
    else introduce("The methods can't be read", `${error.message}.`);
  } finally {
    clearTimeout(again);
    if (catalog?.unavailable) again = setTimeout(load, AGAIN);
  }
}

/** Shows the method that the fragment of the page's address names: `#package.Service/Method/2`. */
function show() {
  const [serviceName, methodName, number = "1"] = location.hash.slice(1).split("/");
  const chosen = `${serviceName}/${methodName}`;
  method = catalog.method(chosen);
  route = method?.routes[number - 1] ?? method?.routes[0];
  const isChosen = Boolean(method);
  document.body.classList.toggle("chosen", isChosen);
  section.hidden = !isChosen;
  mark(isChosen ? method.name : "");
  document.title = isChosen ? `${method.shortName} · ${TITLE}` : TITLE;
  if (isChosen) showMethod();
  else introduceCatalog(methodName && chosen);
}

function showMethod() {
  intro.hidden = true;
  service.textContent = method.service;
  name.textContent = method.shortName;
  const words = [KINDS[streamsOf(method)], method.deprecated && "deprecated"].filter(Boolean);
  kinds.replaceChildren(...words.map((word) => element("li", { class: "kind" }, word)));
  kinds.hidden = !words.length;
  description.textContent = method.description;
  showForm(method, method.routes.indexOf(route), catalog.schemas);
}

function introduceCatalog(missing) {
  const { services, unavailable } = catalog;
  if (unavailable) {
    introduce(unavailable, "The log of the bridge says why. This page keeps looking.");
  } else if (!services.length) {
    introduce(
      "No service is exposed",
      "The bridge exposes the services that --services names, or all that its backends have:",
      "command",
    );
  } else if (missing) {
    introduce("There is no such method", `${missing} isn't exposed, or not any more.`);
  } else {
    const count = services.flatMap(({ methods }) => methods).length;
    const there = `${told(services.length, "service")} with ${told(count, "method")}.`;
    introduce("Choose a method", there, "choose");
  }
}

function introduce(title, text, kind = "") {
  const [titleText, paragraph] = intro.children;
  titleText.textContent = title;
  paragraph.textContent = text;
  intro.className = kind;
  intro.hidden = false;
}

function told(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

async function call() {
  const request = writtenRequest();
  if (!request) return;
  const called = route;
  const panel = new Panel(called);
  const { signal } = (controller = new AbortController());
  setBusy(true);
  try {
    panel.end(await answered(request, called, panel, signal));
  } finally {
    controller = null;
    setBusy(false);
  }
}

/** Returns how the answer ended: see `Panel.end`. */
async function answered(request, called, panel, signal) {
  try {
    const response = await fetch(request, { signal });
    panel.head(response);
    return await readAnswer(response, called, panel, signal);
  } catch (error) {
    if (signal.aborted) return { how: "stopped" };
    const unreachable = error instanceof TypeError;
    return { how: "unread", why: unreachable ? "The bridge can't be reached." : String(error) };
  }
}

/** Swaps Send and Stop, and moves the focus on if it was in the one that goes away. */
function setBusy(busy) {
  const focused = document.activeElement === (busy ? send : stop);
  send.disabled = busy;
  stop.hidden = !busy;
  // What was looked at stays in view: the answer.
  if (focused) (busy ? stop : send).focus({ preventScroll: !busy });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!controller) call();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) controller?.abort();
});
stop.addEventListener("click", () => controller?.abort());
routeChoice.addEventListener("change", () => {
  location.hash = `${method.name}/${routeChoice.selectedIndex + 1}`;
});
document.querySelector("#reload").addEventListener("click", load);
addEventListener("focus", load);
addEventListener("hashchange", () => {
  if (!catalog) return;
  controller?.abort();
  clearPanel();
  const left = document.activeElement;
  show();
  // On a phone the list has gone, and the focus with it.
  if (method && !left.checkVisibility()) name.focus();
});

load();
