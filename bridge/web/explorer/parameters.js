import { resolve } from "./catalog.js";
import { element } from "./element.js";
import { typeOf } from "./fields.js";

const NUMBERS = ["integer", "number", "int32", "uint32", "int64", "uint64", "double", "float"];
const TITLES = { path: "Path", query: "Query" };

/** Returns fields for the parameters of a route, those of the path before those of the query. */
export function fieldsFor(parameters, schemas) {
  return Object.keys(TITLES).flatMap((place) => {
    const inPlace = parameters.filter((parameter) => parameter.in === place);
    if (!inPlace.length) return [];
    const fields = inPlace.map((parameter) => field(parameter, schemas));
    return [element("fieldset", {}, element("legend", {}, TITLES[place]), ...fields)];
  });
}

/** Returns the values in `container`, by their places and names: each is a list. */
export function valuesIn(container) {
  const values = { path: {}, query: {} };
  for (const control of container.querySelectorAll("[data-place]")) {
    const lines = control.localName === "textarea" ? control.value.split("\n") : [control.value];
    values[control.dataset.place][control.name] = lines.filter(Boolean);
  }
  return values;
}

function field(parameter, schemas) {
  const { name, in: place, description = "", required = false, deprecated } = parameter;
  const id = `${place}-${name}`;
  const control = controlOf(resolve(parameter.schema, schemas), schemas);
  const mustBe = required && !parameter["x-severalSegments"];
  Object.assign(control, { id, name, required: mustBe, autocomplete: "off", spellcheck: false });
  control.dataset.place = place;
  control.setAttribute("aria-describedby", `${id}-hint`);
  const notes = [mustBe && "Required.", deprecated && "Deprecated.", description];
  const hint = element("p", { id: `${id}-hint`, class: "hint" });
  if (control.localName !== "select") {
    hint.append(element("code", {}, shortened(typeOf(parameter.schema, schemas))), " ");
  }
  hint.append(notes.filter(Boolean).join(" "));
  const label = element("label", { htmlFor: id }, name);
  return element("div", { class: "field" }, label, control, hint);
}

function controlOf(schema, schemas) {
  if (schema.type === "array") return element("textarea", { rows: 2, placeholder: "one a line" });
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  if (choices) {
    const options = choices.map((choice) => new Option(choice));
    return element("select", {}, new Option("–", ""), ...options);
  }
  const input = element("input", { type: "text" });
  if (NUMBERS.includes(typeOf(schema, schemas))) input.inputMode = "numeric";
  if (schema.format === "date-time") input.placeholder = "2026-01-31T12:00:00Z";
  return input;
}

function shortened(type) {
  return type.length > 80 ? `${type.slice(0, 80)} …` : type;
}
