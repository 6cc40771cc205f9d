import { refusal } from "./stream.js";
import { wires } from "./wires.js";

const form = document.querySelector("#composer");
const panel = document.querySelector("#settings");
const toggle = document.querySelector("#settings-toggle");
const model = document.querySelector("#model");
const modelDescription = document.querySelector("#model-description");
const temperature = document.querySelector("#temperature");
const maxTokens = document.querySelector("#max-tokens");
const wire = document.querySelector("#wire");
const modelsFailure = document.querySelector("#models-failure");
const modelsRetry = document.querySelector("#models-retry");

let models = [];

/** The fields of a request that the settings decide. What is left empty is left to the server. */
export function chosen() {
  const fields = {};
  if (model.value) fields.model = model.value;
  if (temperature.value) fields.temperature = temperature.valueAsNumber;
  if (maxTokens.value) fields.max_tokens = maxTokens.valueAsNumber;
  return fields;
}

/** The wire that the next question speaks. */
export function chosenWire() {
  return wires[wire.selectedIndex];
}

/** Gets the list of models; says so if it can't be had, since the default model still answers. */
export async function loadModels() {
  modelsFailure.hidden = true;
  try {
    const response = await fetch("v1/models");
    if (!response.ok) throw await refusal(response);
    models = (await response.json()).data;
    model.replaceChildren(...models.map(option));
    model.disabled = false;
    describeModel();
  } catch (error) {
    model.replaceChildren(new Option("Default model", ""));
    modelsFailure.firstElementChild.textContent = `The list of models can't be had: ${error.message}`;
    modelsFailure.hidden = false;
  }
}

function option({ id, default: isDefault }) {
  return new Option(id, id, isDefault, isDefault);
}

function describeModel() {
  const { description, context_tokens: context } = models.find(({ id }) => id === model.value) ?? {};
  const room = context && `Room for ${context} tokens, question and answer together.`;
  modelDescription.textContent = [description, room].filter(Boolean).join(" ");
}

function show(open) {
  panel.hidden = !open;
  toggle.setAttribute("aria-expanded", open);
}

wire.replaceChildren(...wires.map(({ name }) => new Option(name)));
model.addEventListener("change", describeModel);
toggle.addEventListener("click", () => show(panel.hidden));
// The browser points at a wrong value itself, but only at one that can be seen.
form.addEventListener("invalid", () => show(true), { capture: true });
modelsRetry.addEventListener("click", async () => {
  await loadModels();
  if (modelsFailure.hidden) model.focus();
});
