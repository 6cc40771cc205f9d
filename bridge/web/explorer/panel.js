import { element } from "./element.js";
import { indented } from "./json.js";
import { clearMessages, Messages, showMessage, showText } from "./messages.js";

const MOST_TEXT = 200_000; // characters of a content, of which fewer are shown
const TEXTUAL = /^text\/|json|xml|javascript|yaml/;
const ENDINGS = {
  finished: "Finished",
  failed: "Failed",
  cut: "Cut off",
  stopped: "Stopped",
  unread: "No answer",
};
const TOLD = { "content-type": "Type", "x-request-id": "Request id", "retry-after": "Retry after" };

const answer = document.querySelector("#answer");
const progress = document.querySelector("#progress");
const head = document.querySelector("#head");
const allHeaders = document.querySelector("#all-headers");
const failureBox = document.querySelector("#failure");
const trailersList = document.querySelector("#trailers");
const announcer = document.querySelector("#announcer");

/** Takes away what is shown of an answer. */
export function clearPanel() {
  answer.className = "idle";
  progress.textContent = "Nothing is sent yet";
  clear();
}

function clear() {
  clearMessages();
  head.replaceChildren();
  for (const one of [allHeaders, failureBox, trailersList]) one.hidden = true;
}

/** An answer on the page, from the request to how it ended. */
export class Panel {
  #start = performance.now();
  #messages = new Messages();
  #streams;
  #frame = 0;
  #type = "";
  #bytes = 0;
  #text = "";
  #decoder = new TextDecoder();

  constructor({ streams, raw }) {
    this.#streams = streams && !raw;
    answer.setAttribute("aria-busy", "true");
    answer.className = "waiting";
    clear();
    answer.scrollIntoView({ block: "nearest" });
    progress.textContent = "Waiting for the answer";
    announcer.textContent = "The request is sent.";
  }

  /** Shows the head of a response. */
  head(response) {
    this.#type = response.headers.get("Content-Type") ?? "";
    answer.className = "streaming";
    const status = `${response.status} ${response.statusText}`.trim();
    const told = Object.entries(TOLD).map(([name, title]) => [title, response.headers.get(name)]);
    head.replaceChildren(...entries([["Status", status], ...told.filter(([, value]) => value)]));
    allHeaders.hidden = false;
    allHeaders.lastElementChild.replaceChildren(...entries([...response.headers]));
    this.#schedule();
  }

  /** Shows a message with the next frame that the browser paints. */
  message(json) {
    if (this.#streams) this.#messages.add(json, this.#seconds());
    else showMessage(json);
    this.#schedule();
  }

  /** Shows, in the same way, a part of a content: its size, and what it says if it is a text. */
  content(chunk) {
    this.#bytes += chunk.byteLength;
    if (TEXTUAL.test(this.#type) && this.#text.length < MOST_TEXT) {
      this.#text += this.#decoder.decode(chunk, { stream: true });
    }
    this.#schedule();
  }

  /** Shows how the answer ended: see `readAnswer`; `how` may also be "stopped" or "unread". */
  end({ how, why, failure, trailers }) {
    cancelAnimationFrame(this.#frame);
    this.#write();
    answer.setAttribute("aria-busy", "false");
    answer.className = how;
    const title = this.#told(ENDINGS[how]);
    progress.textContent = title;
    announcer.textContent = failure || why ? "" : title;
    if (failure) showFailure(`Failed with ${failure.name}`, failure.message, failure.details);
    if (how === "cut") showFailure("The answer was cut off, so it isn't whole.", why);
    if (how === "unread") showFailure("There is no answer that can be read.", why);
    trailersList.hidden = !trailers;
    if (trailers) trailersList.replaceChildren(...entries(Object.entries(trailers)));
  }

  #told(state) {
    const { count } = this.#messages;
    const size = this.#bytes && `${this.#bytes.toLocaleString("en")} bytes`;
    const noun = count === 1 ? "message" : "messages";
    const messages = this.#streams && `${count.toLocaleString("en")} ${noun}`;
    const time = `${this.#seconds().toFixed(2)} s`;
    return [state, size, messages, time].filter(Boolean).join(" · ");
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#write());
  }

  #write() {
    this.#frame = 0;
    this.#messages.write();
    if (this.#text) showText(this.#text);
    progress.textContent = this.#told("Open");
  }

  #seconds() {
    return (performance.now() - this.#start) / 1000;
  }
}

function showFailure(title, said, details = []) {
  const [titleText, saidText, detailsText] = failureBox.children;
  titleText.textContent = title;
  saidText.textContent = said;
  detailsText.hidden = !details.length;
  detailsText.textContent = indented(JSON.stringify(details));
  failureBox.hidden = false;
}

function entries(pairs) {
  return pairs.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
}
