// The page's own streaming function, at every offset, in a browser.
import { atEveryOffset } from "./every_offset.mjs";
import { streamCompletion } from "./stream.js";

const readers = new Map();
const realFetch = globalThis.fetch;

globalThis.fetch = async (url, options) => {
  const response = await realFetch(url, options);
  if (readers.has(url)) observe(response.body, readers.get(url));
  return response;
};

/** Makes the stream's reader tell of each read; the stream itself stays what it is. */
function observe(body, onRead) {
  const getReader = body.getReader.bind(body);
  body.getReader = () => {
    const reader = getReader();
    const read = reader.read.bind(reader);
    reader.read = async () => {
      const result = await read();
      if (!result.done) await onRead();
      return result;
    };
    return reader;
  };
}

async function client(url, body, onRead) {
  const result = { text: "", error: null, done: false, reads: 0, broken: null };
  readers.set(url, () => {
    result.reads += 1;
    return onRead();
  });
  try {
    for await (const { content } of streamCompletion(url, body)) result.text += content;
    result.done = true;
  } catch (error) {
    if (error.name === "StreamError") result.error = error.message;
    else if (error.name === "CutError") result.broken = error.message;
    else throw error;
  }
  return result;
}

// Few at once: a browser opens six connections to a server, and each request needs one more.
export const run = (which) => atEveryOffset(which, client, 3);
