/** One question, and as much of its answer as has come. */
export class Turn {
  answer = "";

  constructor(number, question) {
    this.number = number;
    this.question = question;
  }
}

/** What was said, oldest first. The model is told just what the page shows. */
export class Conversation {
  #turns = [];

  ask(question) {
    const turn = new Turn(this.#turns.length + 1, question);
    this.#turns.push(turn);
    return turn;
  }

  clear() {
    this.#turns = [];
  }

  /** The messages of a request that asks for the answer of the last turn. */
  messages() {
    return this.#turns.flatMap(({ question, answer }) => [
      { role: "user", content: question },
      ...(answer ? [{ role: "assistant", content: answer }] : []),
    ]);
  }
}
