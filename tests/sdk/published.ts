// What the servers of these APIs send, by the types that their SDKs publish.

import type Anthropic from "@anthropic-ai/sdk";
import type OpenAI from "openai";
import type { ChatResponse, GenerateResponse } from "ollama";
import type { UIMessageChunk } from "ai";

export type OpenAIChatEvent = OpenAI.ChatCompletionChunk;
export type OpenAIChatWhole = OpenAI.ChatCompletion;
export type OpenAIError = { error: OpenAI.ErrorObject };

// `output_text` is what the SDK adds to what it has received.
export type OpenAIResponsesWhole = Omit<OpenAI.Responses.Response, "output_text">;
type Received<Event> = Event extends { response: OpenAI.Responses.Response }
  ? Omit<Event, "response"> & { response: OpenAIResponsesWhole }
  : Event;
// The SDK in Python raises an event with an `error`, and only that; its type has the fields alone.
type Raised<Event> = Event extends { type: "error" } ? Event & OpenAIError : Event;
export type OpenAIResponsesEvent = Raised<Received<OpenAI.Responses.ResponseStreamEvent>>;

export type AnthropicEvent = Anthropic.RawMessageStreamEvent;
export type AnthropicWhole = Anthropic.Message;
export type AnthropicError = Anthropic.ErrorResponse;

export type UIMessageEvent = UIMessageChunk;

// The SDK has one type for all lines. A server tells figures in the last one only, and those that it
// has; and the SDK leaves the time as the text that it is.
type Always = "model" | "done";
type Line<Response extends { created_at: Date }> = Partial<Omit<Response, "created_at" | Always>> &
  Pick<Response, Extract<Always, keyof Response>> & { created_at: string };
export type OllamaChat = Line<ChatResponse> & Pick<ChatResponse, "message">;
export type OllamaGenerate = Line<GenerateResponse> & { response: string };
export type OllamaError = { error: string };
