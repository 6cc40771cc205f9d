import { plain } from "./stream.js";
import { anthropic } from "./wires/anthropic.js";
import { ollama } from "./wires/ollama.js";
import { openaiChat } from "./wires/openai-chat.js";
import { openaiResponses } from "./wires/openai-responses.js";
import { uiMessage } from "./wires/ui-message.js";

/**
 * The wires that the page speaks. Of each, `request` puts a conversation and the settings into the
 * words of its API, and `read` takes the data of a frame, or the body of a refusal, out of them.
 */
export const wires = [plain, openaiChat, openaiResponses, anthropic, uiMessage, ollama];
