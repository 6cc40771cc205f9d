import { events } from "../stream.js";
import { failureOf } from "./openai-error.js";

export const openaiChat = {
  name: "OpenAI Chat Completions",
  path: "openai/v1/chat/completions",
  framing: events,

  request: (messages, { model, temperature, max_tokens }) => ({
    model,
    messages,
    temperature,
    max_completion_tokens: max_tokens,
    stream: true,
    stream_options: { include_usage: true },
  }),

  read(data) {
    if (data === "[DONE]") return { content: "", done: true };
    const { error, choices, usage } = JSON.parse(data);
    if (error) return { error: failureOf(error) };
    const [choice] = choices; // the chunk with the usage has none
    const content = choice?.delta.content ?? "";
    return { content, finish_reason: choice?.finish_reason, usage };
  },
};
