import { Follower } from "./follower.js";
import { framesOf } from "./stream.js";

const box = document.querySelector("#show-frames");
const AT_ONCE = 100; // frames that the browser lays out, or leaves out, together

const inspectors = new WeakMap(); // by their elements

/** Shows the raw frames of one answer while the box is ticked, each with its time. */
export class Inspector {
  #start = performance.now();
  #wire;
  #element;
  #lists;
  #list = null;
  #waiting = [];
  #frame = 0;

  constructor(element, wire, number) {
    this.#wire = wire;
    this.#element = element;
    this.#lists = element.firstElementChild;
    element.setAttribute("aria-label", `Raw frames of answer ${number}`);
    const follower = new Follower(element, this.#lists);
    element.addEventListener("scroll", () => follower.look());
    inspectors.set(element, this);
    this.#add("request", `POST ${new URL(wire.path, document.baseURI).pathname}`);
    this.toggle();
  }

  /** Shows a response as it comes; how it ends is told by the answer itself. */
  async watch(response) {
    const status = `${response.status} ${response.statusText}`.trim();
    this.#add("response", `${status}\n${response.headers.get("Content-Type") ?? ""}`);
    try {
      for await (const frame of framesOf(response.body, this.#wire.framing)) this.#add("", frame);
    } catch {
      // It was cut, or stopped.
    }
  }

  toggle() {
    this.#element.hidden = !box.checked;
    this.#schedule();
  }

  #add(kind, text) {
    this.#waiting.push({ kind, text, time: performance.now() - this.#start });
    this.#schedule();
  }

  #schedule() {
    if (box.checked) this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#frame = 0;
    for (const waiting of this.#waiting) this.#write(waiting);
    this.#waiting = [];
  }

  #write(waiting) {
    if (!this.#list || this.#list.childElementCount === AT_ONCE) {
      this.#list = document.createElement("ol");
      this.#lists.append(this.#list);
    }
    this.#list.append(item(waiting));
  }
}

function item({ kind, text, time }) {
  const element = document.createElement("li");
  element.className = kind;
  element.dataset.time = `${Math.round(time)} ms`;
  element.textContent = text;
  return element;
}

box.addEventListener("change", () => {
  for (const element of document.querySelectorAll(".frames")) inspectors.get(element).toggle();
});
