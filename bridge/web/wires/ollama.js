import { lines } from "../stream.js";

/** Tells an error as a sentence, and a call of a tool as `stop`. */
export const ollama = {
  name: "Ollama",
  path: "ollama/api/chat",
  framing: lines,

  request: (messages, { model, temperature, max_tokens }) => ({
    model,
    messages,
    options: { temperature, num_predict: max_tokens },
    stream: true,
  }),

  read(data) {
    const { error, message, done, done_reason: reason, ...counts } = JSON.parse(data);
    if (error) return { error: { message: error } };
    return { content: message.content, done, finish_reason: reason, usage: usage(counts) };
  },
};

function usage({ prompt_eval_count: prompt, eval_count: completion }) {
  if (completion === undefined) return undefined;
  return { prompt_tokens: prompt, completion_tokens: completion };
}
