import { Follower } from "./follower.js";

const intro = document.querySelector("#intro");
const log = document.querySelector("#log");
const announcer = document.querySelector("#announcer");
const latest = document.querySelector("#latest");
// The composer covers the end of the conversation when it grows.
const follower = new Follower(
  document.documentElement,
  log,
  document.querySelector("#composer"),
);

/** Says `text` to a screen reader. */
export function announce(text) {
  announcer.textContent = text;
}

export function showQuestion(text) {
  const question = copy("#question-template");
  question.querySelector(".text").textContent = text;
  intro.hidden = true;
  log.append(question);
  follower.goToEnd();
}

export function clear() {
  log.replaceChildren();
  intro.hidden = false;
  announce("");
}

/** An answer on the page, from its first token to its last word. */
export class AnswerView {
  #element = copy("#answer-template");
  #text = document.createTextNode("");
  #ending = this.#element.querySelector(".ending");
  #retry = this.#element.querySelector(".retry");
  #waiting = "";
  #frame = 0;

  constructor(model, retry) {
    this.#element.querySelector("h2").textContent = model;
    this.#element.querySelector(".text").append(this.#text);
    this.#element.classList.add("streaming");
    this.#retry.addEventListener("click", retry);
    log.append(this.#element);
    log.setAttribute("aria-busy", "true");
    follower.goToEnd();
  }

  /** Where the raw frames of the answer are shown. */
  get frames() {
    return this.#element.querySelector(".frames");
  }

  /** Shows `text` with the next frame that the browser paints: tokens come faster than that. */
  append(text) {
    this.#waiting += text;
    this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  /** Shows how the answer ended: with `timing` in words and, if it isn't whole, a Retry button. */
  end(timing, { whole }) {
    this.#flush();
    this.#element.classList.remove("streaming");
    this.#ending.querySelector(".timing").textContent = timing;
    this.#ending.hidden = false;
    this.#retry.hidden = whole;
    log.setAttribute("aria-busy", "false");
  }

  /** Shows what went wrong; its role makes a screen reader say it at once. */
  fail({ title, said, advice, retryable }) {
    const failure = copy("#failure-template");
    failure.querySelector(".title").textContent = title;
    failure.querySelector("q").textContent = said;
    failure.querySelector(".said").hidden = !said;
    failure.querySelector(".advice").textContent = advice;
    this.#retry.classList.toggle("primary", retryable);
    this.#ending.before(failure);
  }

  /** Takes Retry away, since the conversation has gone on. */
  close() {
    this.#retry.hidden = true;
  }

  remove() {
    this.#element.remove();
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#text.appendData(this.#waiting);
    this.#waiting = "";
  }
}

function copy(template) {
  return document.querySelector(template).content.firstElementChild.cloneNode(true);
}

addEventListener("scroll", () => {
  follower.look();
  latest.hidden = follower.following;
});
latest.addEventListener("click", () => follower.goToEnd());
