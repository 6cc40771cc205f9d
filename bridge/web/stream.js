/** The server said that the answer failed: in the stream, or with an HTTP status before it. */
export class StreamError extends Error {
  name = "StreamError";

  constructor({ error, code = "UNKNOWN", retryable = false }) {
    super(error);
    this.code = code; // the name of a gRPC status
    this.retryable = retryable; // whether the same request may succeed a little later
  }
}

/** The answer ended with no `[DONE]`: the network cut it, and what came of it isn't whole. */
export class CutError extends Error {
  name = "CutError";
}

/**
 * Asks for a completion and yields each object of the stream as it comes: `{ content }`, and at
 * the end perhaps `{ content: "", finish_reason, usage }`. Returns only if the answer is whole;
 * otherwise throws a StreamError, a CutError, or what `fetch` throws when it can't connect.
 * To stop early, leave the loop or abort the signal: either cancels the RPC behind the bridge.
 */
export async function* streamCompletion(url, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await read(reader, signal);
      if (done) throw new CutError("The answer ended with no [DONE].");
      const frames = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) {
        const payload = frame.replace(/^data: /, "");
        if (payload === "[DONE]") return;
        const message = JSON.parse(payload);
        if (message.error) throw new StreamError(message);
        yield message;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it rejects when the connection is broken already
  }
}

async function read(reader, signal) {
  try {
    return await reader.read();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new CutError("The connection broke in the middle of the answer.", { cause });
  }
}

/** Reads `{ error, code, retryable }` from a response that isn't a stream. */
export async function refusal(response) {
  const failure = await response.json().catch(() => null);
  return new StreamError({
    error: failure?.error ?? `HTTP status ${response.status} ${response.statusText}`.trim(),
    code: failure?.code,
    retryable: failure?.retryable ?? [429, 502, 503, 504].includes(response.status),
  });
}
