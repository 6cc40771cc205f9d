// The strict client of the plain wire: the simplest one there is, and so the least tolerant.
// It knows no comments, no `id:` or `event:` lines, and no CRLF. It shares no code with the page.

/**
 * @param onRead is awaited after each read that brought bytes.
 * @returns what came: `text`, `error` (the message, or null), `done` (whether `[DONE]` came),
 *   `frames` (each payload as it was, also those after an error or `[DONE]`), `rest` (what no
 *   blank line ended), `reads` (how many brought bytes), and `broken` (how the connection ended,
 *   if not well).
 */
export async function strictClient(url, body, onRead = () => {}) {
  const result = { text: "", error: null, done: false, frames: [], rest: "", reads: 0, broken: null };
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      result.broken = String(error);
      return { done: true };
    });
    if (done) return result;
    result.reads += 1;
    await onRead();
    const pieces = (result.rest + decoder.decode(value, { stream: true })).split("\n\n");
    result.rest = pieces.pop();
    for (const piece of pieces) take(piece.replace(/^data: /, ""), result);
  }
}

function take(payload, result) {
  result.frames.push(payload);
  if (result.done) return;
  if (payload === "[DONE]") {
    result.done = true;
    return;
  }
  const message = JSON.parse(payload);
  if (result.error !== null) return;
  if (message.error) result.error = message.error;
  else result.text += message.content;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { url, body } = JSON.parse(process.argv[2]);
  console.log(JSON.stringify(await strictClient(url, body)));
}
