/** Returns a request as a command of a shell. */
export function curl({ verb, url, headers, body }) {
  const plain = verb === (body === null ? "GET" : "POST");
  return [
    `curl -N ${quoted(url)}`,
    ...(plain ? [] : [`-X ${quoted(verb)}`]),
    ...headers.map(([name, value]) => `-H ${quoted(value ? `${name}: ${value}` : `${name};`)}`),
    ...(body === null ? [] : [dataOf(body)]),
  ].join(" \\\n  ");
}

function dataOf(body) {
  if (body instanceof File) return `--data-binary ${quoted(`@${body.name}`)}`;
  return `--data-raw ${quoted(body)}`;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
