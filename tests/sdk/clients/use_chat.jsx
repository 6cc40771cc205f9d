// A page with useChat that asks the bridge, and tells what its user sees; see client.py.
import { useChat } from "@ai-sdk/react";
import { useEffect, useRef } from "react";
import { createRoot } from "react-dom/client";

const textOf = (message) =>
  message?.role === "assistant"
    ? message.parts
        .filter(({ type }) => type === "text")
        .map(({ text }) => text)
        .join("")
    : "";

function Chat({ question, resolve }) {
  const asked = useRef(false);
  const finish = useRef(null);
  const { messages, sendMessage, status, error, stop } = useChat({
    onFinish: ({ finishReason }) => {
      finish.current = finishReason ?? null;
    },
  });
  const answer = messages.at(-1);
  const text = textOf(answer);

  useEffect(() => {
    if (asked.current) return;
    asked.current = true;
    sendMessage({ text: question.content }, { body: { model: "script" } });
  }, []);

  useEffect(() => {
    if (text !== "") window.hasText();
    if (question.leave_after !== null && text.length >= question.leave_after) stop();
  }, [text]);

  useEffect(() => {
    if (!asked.current || (status !== "ready" && status !== "error") || messages.length === 0) return;
    const tools = answer.parts.filter(({ type }) => type.startsWith("tool-"));
    resolve({
      text,
      finish: finish.current,
      usage: null,
      tool_calls: tools.map(({ type, input }) => [type.replace("tool-", ""), input]),
      error: error?.name ?? null,
      message: error?.message ?? "",
    });
  }, [status]);

  return <p>{text}</p>;
}

window.ask = (question) =>
  new Promise((resolve) => {
    const root = document.body.appendChild(document.createElement("main"));
    createRoot(root).render(<Chat question={question} resolve={resolve} />);
  });
