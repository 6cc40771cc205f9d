import { nameOf, resolve } from "./catalog.js";

const DEPTH = 4;
const MOST = 300;

/**
 * Returns the fields of a request, and those of messages in it: `{ path, type, description }`. What
 * repeats has `[]` after its name.
 */
export function fieldsOf(schema, schemas) {
  return [...walk(schema, schemas, "", [])].slice(0, MOST);
}

/** Says the type of a schema as a proto does, as far as its JSON tells. */
export function typeOf(schema, schemas) {
  const whole = resolve(schema, schemas);
  const name = nameOf(schema);
  if (whole.enum && name) return whole.enum.join(" | ");
  if (name) return name;
  if (whole.anyOf) return typeOf(whole.anyOf[0], schemas);
  if (whole.type === "array") return `repeated ${typeOf(whole.items, schemas)}`;
  if (whole.contentEncoding) return "bytes, in base64";
  if (whole.format) return whole.format === "date-time" ? "timestamp" : whole.format;
  if (whole.examples) return `as in ${whole.examples[0]}`;
  if (typeof whole.additionalProperties === "object") {
    return `map of ${typeOf(whole.additionalProperties, schemas)}`;
  }
  return [whole.type ?? "any JSON"].flat()[0];
}

function* walk(schema, schemas, prefix, outer) {
  const name = nameOf(schema);
  const { properties = {}, required = [] } = resolve(schema, schemas);
  if (outer.length >= DEPTH || (name && outer.includes(name))) return;
  for (const [key, field] of Object.entries(properties)) {
    if (field.readOnly) continue;
    const inner = field.type === "array" ? field.items : field;
    const path = `${prefix}${key}${inner === field ? "" : "[]"}`;
    const description = notes(field, required.includes(key));
    yield { path, type: typeOf(field, schemas), description };
    yield* walk(inner, schemas, `${path}.`, [...outer, name]);
  }
}

function notes({ description, deprecated }, required) {
  const parts = [required && "Required.", deprecated && "Deprecated.", description];
  return parts.filter(Boolean).join(" ");
}
