const ENDINGS = {
  stopped: "stopped",
  length: "ended at the limit of tokens",
  content_filter: "the provider withheld the rest",
  tool_calls: "the model asked for a tool",
};

const LEAST = 50; // milliseconds; what comes in less is one burst, and has no speed to speak of

/** Measures one answer, from the request on. */
export class Timing {
  #start = performance.now();
  #first = 0;
  #last = 0;
  #messages = 0;

  /** Counts a message that carries text. */
  message() {
    this.#last = performance.now();
    this.#first ||= this.#last;
    this.#messages += 1;
  }

  /**
   * Says how long the first text took, and how fast the rest came. The bridge sends messages; how
   * many tokens they were is known only if the server told the usage.
   */
  describe({ usage, finish_reason: reason } = {}) {
    if (!this.#messages) return ENDINGS[reason] ?? "";
    const [count, unit] = usage ? [usage.completion_tokens, "token"] : [this.#messages, "message"];
    const duration = this.#last - this.#first;
    const rate = (1000 * (count - 1)) / duration;
    const parts = [
      `First ${unit} after ${seconds(this.#first - this.#start)}`,
      `${count} ${unit}${count === 1 ? "" : "s"}`,
      duration >= LEAST && rate > 0 && `${rate.toFixed(rate < 10 ? 1 : 0)} ${unit}s/s`,
      ENDINGS[reason],
    ];
    return parts.filter(Boolean).join(" · ");
  }
}

function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;
}
