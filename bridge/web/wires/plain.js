import { events } from "../frames.js";

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
