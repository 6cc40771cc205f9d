import { curl } from "./curl.js";
import { element } from "./element.js";
import { fieldsOf } from "./fields.js";
import { fieldsFor, valuesIn } from "./parameters.js";
import { problemOf, requestOf } from "./request.js";
import { sample } from "./template.js";

const HINTS = {
  json: "JSON",
  lines: "a line of JSON for each message; all are sent, then the answer comes",
  raw: "sent as it is",
};

const form = document.querySelector("#request");
const routes = document.querySelector("#routes");
const routeChoice = document.querySelector("#route");
const line = document.querySelector("#line");
const parameters = document.querySelector("#parameters");
const bodyField = document.querySelector("#body-field");
const body = document.querySelector("#body");
const bodyHint = document.querySelector("#body-hint");
const bodyProblem = document.querySelector("#body-problem");
const reset = document.querySelector("#reset");
const raw = document.querySelector("#raw");
const contentType = document.querySelector("#content-type");
const file = document.querySelector("#file");
const fields = document.querySelector("#fields");
const headers = document.querySelector("#headers");
const command = document.querySelector("#curl");
const copy = document.querySelector("#copy");
const forms = document.querySelector("#forms");
const answerForm = document.querySelector("#form");
const requestProblem = document.querySelector("#request-problem");

const drafts = new Map(); // what was written, by routes
let route = null;
let template = "";

/** Shows the form of one of a method's routes, with what was last written in it. */
export function showForm(method, number, schemas) {
  keepDraft();
  route = method.routes[number];
  routes.hidden = method.routes.length === 1;
  routeChoice.replaceChildren(...method.routes.map((one) => new Option(keyOf(one))));
  routeChoice.selectedIndex = number;
  parameters.replaceChildren(...fieldsFor(route.parameters, schemas));
  forms.hidden = !route.streams;
  showBody(schemas);
  restoreDraft();
  tell(null);
  update();
}

/** Returns the request that is written; null after it has told what is wrong with it. */
export function writtenRequest() {
  if (!form.reportValidity()) return null;
  const problem = route.body && !file.files.length && problemOf(route.body, body.value);
  tell(problem);
  if (problem) {
    body.focus();
    body.setSelectionRange(problem.start, problem.end);
    return null;
  }
  const { verb, url, headers: lines, body: content } = request();
  try {
    return new Request(url, { method: verb, headers: lines, body: content });
  } catch (error) {
    requestProblem.textContent = `A browser can't send this: ${error.message}`;
    return null;
  }
}

function showBody(schemas) {
  bodyField.hidden = !route.body;
  file.value = "";
  if (!route.body) return;
  const { kind, schema } = route.body;
  bodyHint.textContent = HINTS[kind];
  template = kind === "raw" ? "" : templateOf(kind, sample(schema, schemas));
  body.value = template;
  raw.hidden = kind !== "raw";
  reset.hidden = kind === "raw";
  const described = kind === "raw" ? [] : fieldsOf(schema, schemas);
  fields.hidden = !described.length;
  fields.lastElementChild.replaceChildren(...described.map(fieldItem));
}

function templateOf(kind, value = {}) {
  if (kind === "json") return JSON.stringify(value, null, 2);
  return `${JSON.stringify(value)}\n`.repeat(2);
}

function fieldItem({ path, type, description }) {
  const item = element("li", {}, element("code", {}, path), " ", element("span", {}, type));
  if (description) item.append(element("p", { class: "hint" }, description));
  return item;
}

function request() {
  const [chosen] = file.files;
  return requestOf(route, {
    parameters: valuesIn(parameters),
    body: chosen ?? body.value,
    type: typeOfBody(chosen),
    headers: headers.value,
    form: answerForm.value,
  });
}

function typeOfBody(chosen) {
  if (route.body?.kind !== "raw") return route.body?.type;
  return chosen?.type || (chosen ? route.body.type : contentType.value);
}

/** Says what will be sent, as it is written. */
function update() {
  if (!route) return;
  requestProblem.textContent = "";
  const written = request();
  const { pathname, search } = new URL(written.url);
  line.firstElementChild.textContent = written.verb;
  line.lastElementChild.textContent = pathname + search;
  command.textContent = curl(written);
  copy.textContent = "Copy";
}

function tell(problem) {
  bodyProblem.textContent = problem ? problem.message : "";
  body.setAttribute("aria-invalid", Boolean(problem));
}

function keepDraft() {
  if (!route) return;
  const controls = [...parameters.querySelectorAll("[data-place]")];
  drafts.set(keyOf(route), {
    parameters: new Map(controls.map(({ id, value }) => [id, value])),
    body: body.value === template ? null : body.value,
  });
}

function restoreDraft() {
  const draft = drafts.get(keyOf(route));
  if (!draft) return;
  for (const control of parameters.querySelectorAll("[data-place]")) {
    control.value = draft.parameters.get(control.id) ?? "";
  }
  if (route.body && draft.body !== null) body.value = draft.body;
}

function keyOf({ verb, path }) {
  return `${verb} ${path}`;
}

form.addEventListener("input", update);
form.addEventListener("change", update);
body.addEventListener("input", () => {
  if (bodyProblem.textContent) tell(problemOf(route.body, body.value));
});
reset.addEventListener("click", () => {
  body.value = template;
  tell(null);
  update();
  body.focus();
});
copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(command.textContent);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(command); // there is no clipboard without HTTPS
    copy.textContent = "Selected: copy it with the keyboard";
  }
});
