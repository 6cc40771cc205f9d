import { Follower } from "../follower.js";
import { element } from "./element.js";
import { indented } from "./json.js";

const AT_ONCE = 100; // messages that the browser lays out, or leaves out, together
const LISTS = 10; // that are kept
const LONGEST = 100_000; // characters of a message
const PREVIEW = 300;

const box = document.querySelector("#messages");
const lists = box.firstElementChild;
const dropped = document.querySelector("#dropped");
const unfold = document.querySelector("#unfold");
const follower = new Follower(box, lists);

/** Takes away the messages of the last answer. */
export function clearMessages() {
  lists.replaceChildren();
  for (const one of [box, dropped, unfold]) one.hidden = true;
  follower.goToEnd();
}

/** The messages of one answer: the newest thousand, each with its number and its time. */
export class Messages {
  #count = 0;
  #waiting = [];

  get count() {
    return this.#count;
  }

  /** Takes a message, which `write` shows later. */
  add(json, time) {
    this.#count += 1;
    this.#waiting.push({ number: this.#count, time, text: shortened(json), length: json.length });
    if (this.#waiting.length > 2 * AT_ONCE * LISTS) this.#waiting.splice(0, AT_ONCE * LISTS);
  }

  /** Shows what has been added since. */
  write() {
    if (!this.#waiting.length) return;
    box.hidden = false;
    unfold.hidden = false;
    const newest = this.#waiting.splice(0).slice(-AT_ONCE * LISTS);
    for (const message of newest) lastList().append(item(message));
    while (lists.childElementCount > LISTS) lists.firstElementChild.remove();
    this.#tellDropped();
  }

  #tellDropped() {
    const first = Number(lists.querySelector("li").value);
    dropped.hidden = first === 1;
    const count = (first - 1).toLocaleString("en");
    dropped.textContent = `The first ${count} messages are shown no more.`;
  }
}

/** Shows the one message that is all of an answer. */
export function showMessage(json) {
  box.hidden = false;
  lists.replaceChildren(...pretty(shortened(json), json.length));
}

/** Shows the beginning of a text that is no message, as it is. */
export function showText(text) {
  box.hidden = false;
  const shown = text.slice(0, LONGEST);
  lists.replaceChildren(element("pre", {}, shown), ...(shown === text ? [] : [note("it")]));
}

function lastList() {
  const last = lists.lastElementChild;
  if (last && last.childElementCount < AT_ONCE) return last;
  const list = element("ol");
  lists.append(list);
  return list;
}

function item({ number, time, text, length }) {
  const summary = element(
    "summary",
    {},
    element("span", { class: "number" }, String(number)),
    " ",
    element("span", { class: "time" }, `${time.toFixed(3)} s`),
    " ",
    element("span", { class: "preview" }, text.slice(0, PREVIEW)),
  );
  const details = element("details", {}, summary);
  const show = () => {
    if (details.open && details.childElementCount === 1) details.append(...pretty(text, length));
  };
  details.addEventListener("toggle", show);
  details.open = unfolded();
  show();
  return element("li", { value: number }, details);
}

function pretty(text, length) {
  const json = element("pre", {}, indented(text, 2 * LONGEST));
  if (length <= text.length) return [json];
  return [json, note(`${length.toLocaleString("en")} characters`)];
}

function note(whole) {
  return element("p", { class: "hint" }, `Only the beginning of ${whole} is shown.`);
}

/** Returns a copy of what is shown of a text: a slice would keep all of it in memory. */
function shortened(text) {
  if (text.length <= LONGEST) return text;
  return new TextDecoder().decode(new TextEncoder().encode(text.slice(0, LONGEST)));
}

function unfolded() {
  return unfold.getAttribute("aria-pressed") === "true";
}

box.addEventListener("scroll", () => follower.look());
unfold.addEventListener("click", () => {
  unfold.setAttribute("aria-pressed", !unfolded());
  for (const details of lists.querySelectorAll("details")) details.open = unfolded();
});
