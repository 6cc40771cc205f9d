// Asks the bridge with EventSource, and tells what its user sees; see client.py.
(question) =>
  new Promise((resolve) => {
    const seen = { text: "", finish: null, usage: null, tool_calls: [], error: null, message: "" };
    const query = new URLSearchParams({ model: "script", prompt: question.content });
    const source = new EventSource(`/v1/stream?${query}`);
    const end = () => {
      source.close();
      resolve(seen);
    };
    source.onmessage = ({ data }) => {
      if (data === "[DONE]") {
        end();
        return;
      }
      const found = JSON.parse(data);
      if (found.error) {
        seen.error = found.code;
        seen.message = found.error;
        return;
      }
      seen.text += found.content;
      seen.finish = found.finish_reason ?? seen.finish;
      if (found.usage) seen.usage = [found.usage.prompt_tokens, found.usage.completion_tokens];
      if (seen.text !== "") hasText();
      if (question.leave_after !== null && seen.text.length >= question.leave_after) end();
    };
    source.onerror = ({ type }) => {
      // While it is only lost, it comes back by itself, and is told that there is no more.
      if (source.readyState === EventSource.CLOSED) {
        seen.error = `event ${type}`;
        end();
      }
    };
  });
