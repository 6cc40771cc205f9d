const VERBS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const CONTENT = "*/*";
const LINES = "application/x-ndjson";
const JSON_TYPE = "application/json";

/** What the bridge exposes, as its description, /openapi.json, has it. */
export class Catalog {
  /** Of services, which have a `name`, a `description` and `methods`. */
  services = [];
  /** The schemas of messages, by their full names. */
  schemas;
  /** Why there is nothing yet; empty if there is nothing to wait for. */
  unavailable;
  #methods = new Map();

  constructor(openapi) {
    this.schemas = openapi.components?.schemas ?? {};
    this.unavailable = openapi["x-unavailable"] ?? "";
    const descriptions = new Map(openapi.tags?.map(({ name, description }) => [name, description]));
    for (const [path, item] of Object.entries(openapi.paths)) {
      for (const [verb, operation] of operationsOf(item)) {
        if (operation["x-rpc"]) this.#add(verb, path, operation, descriptions);
      }
    }
  }

  /** Returns the method of a name, `package.Service/Method`, if there is one. */
  method(name) {
    return this.#methods.get(name);
  }

  #add(verb, path, operation, descriptions) {
    const name = operation["x-rpc"].method;
    if (!this.#methods.has(name)) {
      const method = methodOf(name, operation);
      this.#methods.set(name, method);
      this.#service(method.service, descriptions).methods.push(method);
    }
    this.#methods.get(name).routes.push(routeOf(verb, path, operation));
  }

  #service(name, descriptions) {
    const known = this.services.find((service) => service.name === name);
    if (known) return known;
    const service = { name, description: descriptions.get(name) ?? "", methods: [] };
    this.services.push(service);
    return service;
  }
}

/** Returns a schema with what it refers to. */
export function resolve(schema, schemas) {
  return schema.$ref ? { ...schemas[nameOf(schema)], ...schema } : schema;
}

/** Returns the full name of what a schema refers to; nothing if it doesn't. */
export function nameOf({ $ref = "" }) {
  return $ref.slice($ref.lastIndexOf("/") + 1);
}

function* operationsOf(item) {
  for (const verb of VERBS) if (item[verb]) yield [verb.toUpperCase(), item[verb]];
  yield* Object.entries(item["x-additionalOperations"] ?? {});
}

function methodOf(name, operation) {
  const [service, shortName] = name.split("/");
  const { clientStreaming, serverStreaming } = operation["x-rpc"];
  const { description = "", deprecated = false } = operation;
  return {
    ...{ name, service, shortName, description, deprecated },
    ...{ clientStreaming, serverStreaming },
    routes: [],
  };
}

/** Returns how a method is called. The verb `*` stands for all: that with a body is a POST. */
function routeOf(verb, path, operation) {
  const body = bodyOf(operation.requestBody);
  const any = body ? "POST" : "GET";
  return {
    verb: verb === "*" ? any : verb,
    path,
    parameters: operation.parameters ?? [],
    body,
    raw: CONTENT in operation.responses[200].content,
    streams: LINES in operation.responses[200].content,
  };
}

function bodyOf(requestBody) {
  if (!requestBody) return null;
  const { content } = requestBody;
  if (CONTENT in content) return { kind: "raw", type: "application/octet-stream" };
  if (LINES in content) {
    return { kind: "lines", type: LINES, schema: content[LINES]["x-itemSchema"] };
  }
  return { kind: "json", type: JSON_TYPE, schema: content[JSON_TYPE].schema };
}
