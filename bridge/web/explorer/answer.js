import { events, framesOf, lines } from "../stream.js";
import { ArrayReader } from "./array.js";
import { failureOf } from "./status.js";

const UNENDED = "The answer ended without its last event.";
const BROKEN = "The connection broke.";

/**
 * Reads an answer to its end.
 *
 * @param response of `fetch`.
 * @param route of the request; see `Catalog`.
 * @param show its methods get what comes, at once: `message` the JSON of each message, `content`
 *   each part of a content that is no message, as bytes.
 * @returns how it ended: `{ how: "finished", trailers }`, `{ how: "failed", failure }`, or
 *   `{ how: "cut", why }`.
 */
export async function readAnswer(response, route, show, signal) {
  try {
    if (!response.ok) return failed(await refusalOf(response));
    return await readerOf(response, route)(response, show);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TypeError)) throw error;
    return { how: "cut", why: BROKEN };
  }
}

function readerOf(response, { raw, streams }) {
  if (raw) return readContent;
  const [type] = (response.headers.get("Content-Type") ?? "").split(";");
  if (type === "text/event-stream") return readEvents;
  if (type === "application/x-ndjson") return readLines;
  return streams ? readArray : readMessage;
}

async function readEvents(response, show) {
  let failure = null;
  let trailers = null;
  for await (const frame of framesOf(response.body, events)) {
    if (!frame.endsWith(events.end)) break;
    const data = events.data(frame);
    const [, event = ""] = /^event: (.*)$/m.exec(frame) ?? [];
    if (data === "[DONE]") return failure ? failed(failure) : finished(trailers);
    else if (event === "failure") failure = failureOf(JSON.parse(data).error);
    else if (event === "trailers") trailers = JSON.parse(data);
    else if (data) show.message(data);
  }
  return { how: "cut", why: UNENDED };
}

async function readLines(response, show) {
  const last = new Last(show);
  for await (const line of framesOf(response.body, lines)) {
    if (!line.endsWith(lines.end)) return { how: "cut", why: "The last line isn't whole." };
    last.message(line.trim());
  }
  return last.ending();
}

async function readArray(response, show) {
  const array = new ArrayReader();
  const last = new Last(show);
  const decoder = new TextDecoder();
  for await (const chunk of chunksOf(response.body)) {
    const elements = array.read(decoder.decode(chunk, { stream: true }));
    for (const element of elements) last.message(element);
  }
  return array.ended ? last.ending() : { how: "cut", why: "The array isn't closed." };
}

/** Keeps back what may be a failure: that stands last, and among messages it is one of them. */
class Last {
  #show;
  #kept = "";

  constructor(show) {
    this.#show = show;
  }

  message(json) {
    if (this.#kept) this.#show.message(this.#kept);
    this.#kept = "";
    if (mayBeFailure(json)) this.#kept = json;
    else this.#show.message(json);
  }

  ending() {
    return this.#kept ? failed(failureOf(JSON.parse(this.#kept).error)) : finished();
  }
}

function mayBeFailure(json) {
  if (!json.startsWith('{"error":')) return false;
  const { error, ...more } = JSON.parse(json);
  return Number.isInteger(error?.code) && Object.keys(more).length === 0;
}

async function readMessage(response, show) {
  show.message(await response.text());
  return finished();
}

async function readContent(response, show) {
  for await (const chunk of chunksOf(response.body)) show.content(chunk);
  return finished();
}

async function* chunksOf(body) {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function refusalOf(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    if (!("error" in body)) return failureOf(body);
    // What is refused before a method is looked up has the form of another wire.
    return failureOf({ ...body, message: body.error.message ?? body.error });
  } catch {
    return { name: `HTTP status ${response.status}`, message: text.slice(0, 1000), details: [] };
  }
}

function finished(trailers = null) {
  return { how: "finished", trailers };
}

function failed(failure) {
  return { how: "failed", failure };
}
