import { dataOf, framesOf } from "./frames.js";
import { plain } from "./wires/plain.js";

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
