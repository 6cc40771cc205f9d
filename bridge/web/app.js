import { Conversation } from "./conversation.js";
import { describe } from "./failure.js";
import { Inspector } from "./inspector.js";
import { chosen, chosenWire, loadModels } from "./settings.js";
import { StreamError, streamCompletion } from "./stream.js";
import { Timing } from "./timing.js";
import { AnswerView, announce, clear, showQuestion } from "./view.js";

const form = document.querySelector("#composer");
const question = document.querySelector("#question");
const send = document.querySelector("#send");
const stop = document.querySelector("#stop");
const clearButton = document.querySelector("#clear");

const conversation = new Conversation();
let view = null; // of the last answer
let controller = null; // of the answer that is on its way, if one is
let answered = Promise.resolve();

function ask(text) {
  view?.close();
  const turn = conversation.ask(text);
  showQuestion(text);
  answered = answer(turn);
}

function retry(turn) {
  if (!form.reportValidity()) return;
  view.remove();
  turn.answer = "";
  answered = answer(turn);
  moveFocus(true);
}

async function answer(turn) {
  const wire = chosenWire();
  const settings = chosen();
  const timing = new Timing();
  let ending = {};
  let whole = false;
  controller = new AbortController();
  view = new AnswerView(settings.model ?? "Default model", () => retry(turn));
  const inspector = new Inspector(view.frames, wire, turn.number);
  setBusy(true);
  announce("The answer is on its way.");
  try {
    const request = wire.request(conversation.messages(), settings);
    const { signal } = controller;
    const options = { signal, wire, watch: (response) => inspector.watch(response) };
    for await (const message of streamCompletion(wire.path, request, options)) {
      ending.finish_reason = message.finish_reason ?? ending.finish_reason;
      ending.usage = message.usage ?? ending.usage;
      if (!message.content) continue;
      timing.message();
      turn.answer += message.content;
      view.append(message.content);
    }
    whole = true;
    announce(turn.answer);
  } catch (error) {
    if (controller.signal.aborted) {
      ending = { finish_reason: "stopped" };
      announce("Stopped.");
    } else {
      if (!(error instanceof StreamError)) controller.abort(); // the stream may go on
      announce("");
      view.fail(describe(error));
    }
  } finally {
    controller = null;
    view.end(timing.describe(ending), { whole });
    setBusy(false);
  }
}

/** Swaps Send and Stop, and moves the focus on if it was in the one that goes away. */
function setBusy(busy) {
  const focused = document.activeElement === (busy ? send : stop);
  send.hidden = busy;
  stop.hidden = !busy;
  clearButton.disabled = false;
  if (focused) moveFocus(busy);
}

function moveFocus(busy) {
  const other = busy ? stop : send;
  // On a phone the focus in a text field brings up a keyboard, which covers the answer.
  (matchMedia("(pointer: coarse)").matches ? other : question).focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (controller || !question.value.trim()) return;
  const text = question.value;
  question.value = "";
  ask(text);
});

question.addEventListener("keydown", (event) => {
  // An Enter that ends the composition of a character, as in Japanese, sends nothing.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) controller?.abort();
});

stop.addEventListener("click", () => controller?.abort());

clearButton.addEventListener("click", async () => {
  controller?.abort();
  await answered;
  conversation.clear();
  view = null;
  clear();
  clearButton.disabled = true;
  question.focus();
});

for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => {
    if (!form.reportValidity()) return;
    ask(example.textContent);
    moveFocus(true);
  });
}

loadModels();
