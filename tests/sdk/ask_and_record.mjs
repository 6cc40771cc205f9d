// Asks one question with each SDK, and prints what each has sent, and the text that it has got.

import Anthropic from "@anthropic-ai/sdk";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { DefaultChatTransport, generateText } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";

const [bridge, question] = process.argv.slice(2);
const messages = [{ role: "user", content: question }];
const model = "script";

const SDKS = {
  "openai chat": async (fetch) => {
    const client = new OpenAI({ baseURL: `${bridge}/openai/v1`, apiKey: "-", fetch });
    const completion = await client.chat.completions.create({ model, messages });
    return completion.choices[0].message.content;
  },
  "openai responses": async (fetch) => {
    const client = new OpenAI({ baseURL: `${bridge}/openai/v1`, apiKey: "-", fetch });
    return (await client.responses.create({ model, input: question })).output_text;
  },
  anthropic: async (fetch) => {
    const client = new Anthropic({ baseURL: `${bridge}/anthropic`, apiKey: "-", fetch });
    const message = await client.messages.create({ model, max_tokens: 100, messages });
    return message.content[0].text;
  },
  "ui message": async (fetch) => {
    const transport = new DefaultChatTransport({
      api: `${bridge}/ui-message/api/chat`,
      body: { model },
      fetch,
    });
    const asked = { id: "1", role: "user", parts: [{ type: "text", text: question }] };
    const chunks = await transport.sendMessages({
      chatId: "a",
      messages: [asked],
      trigger: "submit-message",
    });
    let text = "";
    for await (const chunk of chunks) text += chunk.type === "text-delta" ? chunk.delta : "";
    return text;
  },
  "ollama chat": async (fetch) => {
    const client = new Ollama({ host: `${bridge}/ollama`, fetch });
    return (await client.chat({ model, messages })).message.content;
  },
  "ollama generate": async (fetch) => {
    const client = new Ollama({ host: `${bridge}/ollama`, fetch });
    return (await client.generate({ model, prompt: question })).response;
  },
  "openai chat, of the AI SDK": async (fetch) => {
    const provider = createOpenAICompatible({ name: "b", baseURL: `${bridge}/openai/v1`, fetch });
    return (await generateText({ model: provider(model), prompt: question })).text;
  },
};

async function ask([client, answer]) {
  let body;
  const text = await answer((url, options) => {
    body = JSON.parse(options.body);
    return fetch(url, options);
  });
  return { client: `${client} (JavaScript)`, wire: client.split(",")[0], body, text };
}

console.log(JSON.stringify(await Promise.all(Object.entries(SDKS).map(ask))));
