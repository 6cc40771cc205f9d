// Prints what the AI SDK's own schema has against each chunk of stdin, null for nothing.

import { text } from "node:stream/consumers";
import { uiMessageChunkSchema } from "ai";

const chunks = JSON.parse(await text(process.stdin));
const verdicts = await Promise.all(chunks.map((chunk) => uiMessageChunkSchema().validate(chunk)));
const told = verdicts.map(({ success, error }) => (success ? null : String(error)));
console.log(JSON.stringify(told));
