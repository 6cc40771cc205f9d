import { events } from "../stream.js";

/** The stream of useChat, of Vercel's AI SDK. It has no usage, and tells an error as a sentence. */
export const uiMessage = {
  name: "AI SDK UI messages",
  path: "ui-message/api/chat",
  framing: events,

  request: (messages, { model, temperature, max_tokens }) => ({
    messages: messages.map(({ role, content }) => ({
      role,
      parts: [{ type: "text", text: content }],
    })),
    model,
    temperature,
    maxOutputTokens: max_tokens,
  }),

  read(data) {
    if (data === "[DONE]") return { content: "", done: true };
    const { type, delta, errorText, finishReason } = JSON.parse(data);
    if (type === "error") return { error: { message: errorText } };
    if (type === "finish") return { content: "", finish_reason: finishReason.replace("-", "_") };
    return { content: type === "text-delta" ? delta : "" };
  },
};
