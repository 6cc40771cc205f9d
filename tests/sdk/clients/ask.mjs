// Asks the bridge with one of the SDKs, a question a line of the standard input, and prints what its
// user sees; see client.py.

import { createInterface } from "node:readline";

const model = "script";
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};

// Of the question that is being asked.
let bridge;
let question;
let messages;
let seen;

function hadEnough() {
  if (seen.text !== "") console.log("text");
  return question.leave_after !== null && seen.text.length >= question.leave_after;
}

function failed(error) {
  seen.error = error.constructor?.name ?? error.name;
  seen.message = error.message;
}

function completion({ choices: [choice], usage }) {
  seen.text = choice.message.content ?? "";
  seen.finish = choice.finish_reason;
  if (usage) seen.usage = [usage.prompt_tokens, usage.completion_tokens];
  seen.tool_calls = (choice.message.tool_calls ?? []).map(({ function: called }) => [
    called.name,
    JSON.parse(called.arguments),
  ]);
}

async function openai() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI({
    baseURL: `${bridge}/v1`,
    apiKey: "-",
    maxRetries: question.retries,
  });
  const tool = { name: "weather", description: "Tells it.", parameters };
  const options = question.tools ? { tools: [{ type: "function", function: tool }] } : {};
  if (!question.stream) {
    completion(await client.chat.completions.create({ model, messages, ...options }));
    return;
  }
  const stream = client.chat.completions.stream({
    model,
    messages,
    stream_options: { include_usage: true },
    ...options,
  });
  for await (const chunk of stream) {
    seen.text += chunk.choices[0]?.delta.content ?? "";
    if (hadEnough()) return;
  }
  completion(await stream.finalChatCompletion());
  const usage = await stream.totalUsage();
  seen.usage = [usage.prompt_tokens, usage.completion_tokens];
}

async function responses() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI({
    baseURL: `${bridge}/v1`,
    apiKey: "-",
    maxRetries: question.retries,
  });
  const tool = { type: "function", name: "weather", parameters, strict: false };
  const options = {
    model,
    input: question.content,
    ...(question.tools ? { tools: [tool] } : {}),
  };
  const whole = (response) => {
    seen.text = response.output_text;
    seen.finish = response.incomplete_details?.reason ?? response.status;
    if (response.usage) seen.usage = [response.usage.input_tokens, response.usage.output_tokens];
    seen.tool_calls = response.output
      .filter(({ type }) => type === "function_call")
      .map(({ name, arguments: given }) => [name, JSON.parse(given)]);
  };
  if (!question.stream) {
    whole(await client.responses.create(options));
    return;
  }
  const stream = client.responses.stream(options);
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") seen.text += event.delta;
    if (hadEnough()) return;
  }
  whole(await stream.finalResponse());
}

async function anthropic() {
  const { default: Anthropic } = await import("@anthropic-ai/sdk");
  const client = new Anthropic({ baseURL: bridge, apiKey: "-", maxRetries: question.retries });
  const tool = { name: "weather", description: "Tells it.", input_schema: parameters };
  const options = {
    model,
    messages,
    max_tokens: 1024,
    ...(question.tools ? { tools: [tool] } : {}),
  };
  const message = (found) => {
    const texts = found.content.filter(({ type }) => type === "text");
    seen.text = texts.map(({ text }) => text).join("");
    seen.finish = found.stop_reason;
    seen.usage = [found.usage.input_tokens, found.usage.output_tokens];
    seen.tool_calls = found.content
      .filter(({ type }) => type === "tool_use")
      .map(({ name, input }) => [name, input]);
  };
  if (!question.stream) {
    message(await client.messages.create(options));
    return;
  }
  const stream = client.messages.stream(options);
  for await (const event of stream) {
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
      seen.text += event.delta.text;
    }
    if (hadEnough()) return;
  }
  message(await stream.finalMessage());
}

async function vercel() {
  const { generateText, streamText, tool } = await import("ai");
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
  const { jsonSchema } = await import("ai");
  const provider = createOpenAICompatible({
    name: "bridge",
    baseURL: `${bridge}/v1`,
    apiKey: "-",
    includeUsage: true,
  });
  const abort = new AbortController();
  const tools = { weather: tool({ description: "Tells it.", inputSchema: jsonSchema(parameters) }) };
  const options = {
    model: provider(model),
    prompt: question.content,
    maxRetries: question.retries,
    abortSignal: abort.signal,
    ...(question.tools ? { tools } : {}),
  };
  const ended = async (result) => {
    seen.finish = await result.finishReason;
    const usage = await result.usage;
    seen.usage = [usage.inputTokens ?? null, usage.outputTokens ?? null];
    seen.tool_calls = (await result.toolCalls).map(({ toolName, input }) => [toolName, input]);
  };
  if (!question.stream) {
    const result = await generateText(options);
    seen.text = result.text;
    await ended(result);
    return;
  }
  const errors = [];
  const result = streamText({ ...options, onError: ({ error }) => errors.push(error) });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") seen.text += part.text;
    if (hadEnough()) {
      abort.abort();
      return;
    }
  }
  if (errors.length > 0) throw errors[0];
  await ended(result);
}

async function eventsourceParser() {
  const { EventSourceParserStream } = await import("eventsource-parser/stream");
  const abort = new AbortController();
  const response = await fetch(`${bridge}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages, stream: question.stream }),
    signal: abort.signal,
  });
  const object = (found) => {
    if (found.error) {
      seen.error = found.code;
      seen.message = found.error;
      return;
    }
    seen.text += found.content;
    seen.finish = found.finish_reason ?? seen.finish;
    if (found.usage) seen.usage = [found.usage.prompt_tokens, found.usage.completion_tokens];
  };
  if (!question.stream) {
    object(await response.json());
    return;
  }
  const events = response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
  for await (const { data } of events) {
    if (data === "[DONE]") return;
    object(JSON.parse(data));
    if (hadEnough()) {
      abort.abort();
      return;
    }
  }
  throw new Error("the stream has no [DONE]");
}

const ask = { openai, responses, anthropic, vercel, eventsourceParser }[process.argv[2]];
for await (const line of createInterface({ input: process.stdin })) {
  ({ bridge, question } = JSON.parse(line));
  messages = [{ role: "user", content: question.content }];
  seen = { text: "", finish: null, usage: null, tool_calls: [], error: null, message: "" };
  try {
    await ask();
  } catch (error) {
    failed(error);
  }
  console.log(JSON.stringify(seen));
}
// What an SDK has left open, too.
process.exit();
