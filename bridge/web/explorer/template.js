import { nameOf, resolve } from "./catalog.js";

const DEPTH = 5; // messages in messages
const MOST = 200; // values in all

/**
 * Returns a value that a schema allows, to begin with: each field is there, with what it has when
 * nobody sets it, or with an example where that says more. Messages are left out that are inside
 * another of their type, and so is what makes it too deep or too long.
 */
export function sample(schema, schemas) {
  return new Sampler(schemas).of(schema);
}

class Sampler {
  #schemas;
  #room = MOST;

  constructor(schemas) {
    this.#schemas = schemas;
  }

  /** Returns the value of a schema that is inside messages of these names; undefined for none. */
  of(schema, outer = []) {
    const name = nameOf(schema);
    if (name && outer.includes(name)) return undefined;
    const whole = resolve(schema, this.#schemas);
    if (this.#room-- <= 0 || outer.length > DEPTH || isAny(whole)) return undefined;
    if (whole.examples) return whole.examples[0];
    if (whole.enum) return whole.enum[0];
    if (whole.anyOf) return isNullable(whole) ? null : this.of(whole.anyOf[0], outer);
    if (whole.properties) return this.#object(whole, [...outer, name]);
    if (whole.type === "array") return this.#array(whole.items, outer);
    return scalar(whole);
  }

  #object({ properties, dependentSchemas = {} }, outer) {
    const object = {};
    let excluded = []; // of a oneof only the first is set
    for (const [name, schema] of Object.entries(properties)) {
      if (schema.readOnly || schema.deprecated || excluded.includes(name)) continue;
      const value = this.of(schema, outer);
      if (value === undefined) continue;
      object[name] = value;
      excluded = [...excluded, ...Object.keys(dependentSchemas[name]?.properties ?? {})];
    }
    return object;
  }

  /** One element shows what a message has; one text or number would only be in the way. */
  #array(items, outer) {
    const { properties } = resolve(items, this.#schemas);
    const element = properties && this.of(items, outer);
    return element === undefined ? [] : [element];
  }
}

function scalar({ type, format }) {
  if (!type || Array.isArray(type)) return null; // any JSON, or null for what isn't set
  if (format === "date-time") return `${new Date().toISOString().slice(0, 19)}Z`;
  if (type === "string") return format === "int64" || format === "uint64" ? "0" : "";
  return { integer: 0, number: 0, boolean: false, object: {}, null: null }[type];
}

/** An Any needs a type that nobody can guess. */
function isAny({ properties }) {
  return properties !== undefined && "@type" in properties;
}

function isNullable({ anyOf }) {
  return anyOf.some(({ type }) => type === "null");
}
