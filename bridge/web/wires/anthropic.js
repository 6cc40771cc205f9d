import { events } from "../stream.js";

const REASONS = {
  end_turn: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

/** The types of errors that tell a gRPC status; `api_error` is any other. */
const STATUSES = {
  invalid_request_error: "INVALID_ARGUMENT",
  authentication_error: "UNAUTHENTICATED",
  permission_error: "PERMISSION_DENIED",
  not_found_error: "NOT_FOUND",
  rate_limit_error: "RESOURCE_EXHAUSTED",
  timeout_error: "DEADLINE_EXCEEDED",
  overloaded_error: "UNAVAILABLE",
};

export const anthropic = {
  name: "Anthropic Messages",
  path: "anthropic/v1/messages",
  framing: events,

  request: (messages, { model, temperature, max_tokens }) => ({
    model,
    messages,
    temperature,
    max_tokens,
    stream: true,
  }),

  read(data) {
    const { type, delta, error, usage } = JSON.parse(data);
    if (error) return { error: { message: error.message, code: STATUSES[error.type] } };
    if (type === "message_delta") return { content: "", ...ending(delta, usage) };
    if (type === "message_stop") return { content: "", done: true };
    return { content: delta?.text ?? "" };
  },
};

/** The API has no way to leave the usage out: 0 is what a backend that tells none has used. */
function ending({ stop_reason: reason }, { input_tokens: input, output_tokens: output }) {
  const usage = output ? { prompt_tokens: input, completion_tokens: output } : undefined;
  return { finish_reason: REASONS[reason], usage };
}
