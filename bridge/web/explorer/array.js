const LAST = "last"; // a character ends an element
const BESIDE = "beside"; // it stands before or after one

/** Reads an array as it comes. */
export class ArrayReader {
  /** Whether its end has come. */
  ended = false;
  #text = ""; // since the last element
  #at = 0;
  #depth = 0;
  #quoted = false;

  /** Takes more of it, and yields the JSON of each element that is whole now. */
  *read(text) {
    this.#text += text;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const place = this.#place(this.#text[this.#at]);
      if (!place) continue;
      const element = this.#text.slice(0, this.#at + (place === LAST ? 1 : 0)).trim();
      this.#text = this.#text.slice(this.#at + 1);
      this.#at = -1;
      if (element) yield element;
    }
  }

  #place(character) {
    if (this.#quoted) return this.#placeInString(character);
    switch (character) {
      case '"':
        this.#quoted = true;
        return "";
      case "{":
      case "[":
        this.#depth += 1;
        return this.#depth === 1 ? BESIDE : "";
      case "}":
      case "]":
        this.#depth -= 1;
        this.ended = this.#depth === 0;
        return [BESIDE, LAST][this.#depth] ?? "";
      case ",":
        return this.#depth === 1 ? BESIDE : "";
    }
    return "";
  }

  #placeInString(character) {
    if (character === "\\") this.#at += 1;
    if (character !== '"') return "";
    this.#quoted = false;
    return this.#depth === 1 ? LAST : "";
  }
}
