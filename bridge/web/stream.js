/** The server said that the answer failed: in the stream, or with an HTTP status before it. */
export class StreamError extends Error {
  name = "StreamError";

  constructor({ message, code, retryable }, httpStatus) {
    super(message);
    this.code = code; // the name of a gRPC status, if the wire tells it
    this.retryable = retryable; // whether the same request may succeed a little later, if told
    this.httpStatus = httpStatus; // of a response that isn't a stream
  }
}

/** The answer ended without its last event: the network cut it, and what came of it isn't whole. */
export class CutError extends Error {
  name = "CutError";
}

/**
 * Asks for a completion and yields each message of the stream as it comes: `{ content }`, and near
 * the end perhaps `{ content: "", finish_reason, usage }`; the last has `done`. Returns only if the
 * answer is whole; otherwise throws a StreamError, a CutError, or what `fetch` throws when it can't
 * connect. To stop early, leave the loop or abort the signal: either cancels the RPC behind the
 * bridge. With `watch`, which gets a copy of the response, only the signal does.
 */
export async function* streamCompletion(url, body, { signal, wire = plain, watch } = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  watch?.(response.clone());
  if (!response.ok) throw await refusal(response, wire);
  for await (const frame of framesUntilCut(response, wire, signal)) {
    const data = dataOf(frame, wire.framing);
    if (!data) continue;
    const message = wire.read(data);
    if (message.error) throw new StreamError(message.error);
    yield message;
    if (message.done) return;
  }
  throw new CutError("The answer ended without its last event.");
}

async function* framesUntilCut(response, wire, signal) {
  try {
    yield* framesOf(response.body, wire.framing);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new CutError("The connection broke in the middle of the answer.", { cause });
  }
}

/** Reads what a response that isn't a stream says of a failure. */
export async function refusal(response, wire = plain) {
  const { message, ...failure } = told(response, await response.text().catch(() => ""), wire);
  const status = `HTTP status ${response.status} ${response.statusText}`.trim();
  return new StreamError({ message: message || status, ...failure }, response.status);
}

function told(response, text, wire) {
  if (response.headers.get("Content-Type")?.startsWith("text/plain")) return { message: text };
  try {
    return wire.read(text).error ?? {};
  } catch {
    return {}; // it is the page of something between here and the bridge
  }
}

/** How Server-Sent Events are framed: a frame is lines with fields, and a blank line. */
export const events = {
  end: "\n\n",
  data(frame) {
    const lines = frame.split("\n").filter((line) => line.startsWith("data: "));
    return lines.map((line) => line.slice("data: ".length)).join("\n");
  },
};

/** How JSON is framed that comes in lines: each line is a frame. */
export const lines = { end: "\n", data: (frame) => frame };

/** The bridge's own wire, of docs/wire.md. What it reads is what every wire returns. */
export const plain = {
  name: "Plain",
  path: "v1/chat/completions",
  framing: events,

  request: (messages, settings) => ({ messages, stream: true, ...settings }),

  read(data) {
    if (data === "[DONE]") return { content: "", done: true };
    const { error, code, retryable, ...message } = JSON.parse(data);
    return error ? { error: { message: error, code, retryable } } : message;
  },
};

/** Returns what a frame carries: nothing if it is a comment, or was cut before its end. */
function dataOf(frame, framing) {
  return frame.endsWith(framing.end) ? framing.data(frame) : "";
}

/**
 * Yields each frame of a body as soon as it has come, just as it was sent, with its end. What a cut
 * has left of one comes last. Throws what `read` throws when the connection breaks.
 */
export async function* framesOf(body, framing) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const frames = (rest + decoder.decode(value, { stream: true })).split(framing.end);
      rest = frames.pop();
      for (const frame of frames) yield frame + framing.end;
    }
    if (rest) yield rest;
  } catch (error) {
    if (rest) yield rest;
    throw error;
  } finally {
    reader.cancel().catch(() => {}); // it rejects when the connection is broken already
  }
}
