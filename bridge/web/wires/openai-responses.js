import { events } from "../stream.js";
import { failureOf } from "./openai-error.js";

const INCOMPLETE = { max_output_tokens: "length", content_filter: "content_filter" };

export const openaiResponses = {
  name: "OpenAI Responses",
  path: "openai/v1/responses",
  framing: events,

  request: (messages, { model, temperature, max_tokens }) => ({
    model,
    input: messages,
    temperature,
    max_output_tokens: max_tokens,
    stream: true,
  }),

  read(data) {
    const { type, delta, error, response } = JSON.parse(data);
    if (error) return { error: failureOf(error) }; // `response.failed`, before it, says less
    if (type === "response.output_text.delta") return { content: delta };
    if (type !== "response.completed" && type !== "response.incomplete") return { content: "" };
    return { content: "", finish_reason: reason(response), usage: usage(response), done: true };
  },
};

function reason({ incomplete_details: details, output }) {
  if (details) return INCOMPLETE[details.reason];
  return output.some(({ type }) => type === "function_call") ? "tool_calls" : "stop";
}

function usage({ usage }) {
  return usage && { prompt_tokens: usage.input_tokens, completion_tokens: usage.output_tokens };
}
