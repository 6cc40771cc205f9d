const TYPES = {
  sse: "text/event-stream",
  ndjson: "application/x-ndjson",
  array: "application/json",
};

/**
 * Returns what is sent: `{ verb, url, headers, body }`.
 *
 * @param route see `Catalog`.
 * @param values of the form: `parameters` by their places and names, each a list, `body`, its
 *   `type`, `headers` as lines, and the `form` of a stream.
 */
export function requestOf(route, { parameters, body, type, headers, form }) {
  const path = route.path.replace(/\{([^}]+)\}/g, (_, name) => {
    const { "x-severalSegments": several } = route.parameters.find(
      (parameter) => parameter.in === "path" && parameter.name === name,
    );
    const [value = ""] = parameters.path[name] ?? [];
    return several ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
  const url = new URL(`.${path}`, document.baseURI);
  for (const [name, values] of Object.entries(parameters.query)) {
    for (const value of values) url.searchParams.append(name, value);
  }
  const hasBody = Boolean(route.body && body);
  return {
    verb: route.verb,
    url: url.href,
    headers: [
      ...(hasBody ? [["Content-Type", type]] : []),
      ...(route.streams ? [["Accept", TYPES[form]]] : []),
      ...linesOf(headers),
    ],
    body: hasBody ? body : null,
  };
}

/**
 * Returns what is wrong with the body of a request, and where: `{ message, start, end }`; null if
 * nothing is.
 */
export function problemOf({ kind }, text) {
  if (kind === "raw" || !text.trim()) return null;
  if (kind === "json" || text.trimStart().startsWith("[")) return problemIn(text, 0, "");
  let start = 0;
  for (const [number, line] of text.split("\n").entries()) {
    const problem = line.trim() && problemIn(line, start, `In line ${number + 1}: `);
    if (problem) return problem;
    start += line.length + 1;
  }
  return null;
}

function problemIn(text, start, where) {
  try {
    JSON.parse(text);
    return null;
  } catch ({ message }) {
    const [, position] = /at position (\d+)/.exec(message) ?? [];
    const at = start + (position === undefined ? text.length : Number(position));
    return { message: `${where}${message}`, start: at, end: at + 1 };
  }
}

/** Returns the names and values of header lines. */
export function linesOf(text) {
  const lines = text.split("\n").filter((line) => line.includes(":"));
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });
}
