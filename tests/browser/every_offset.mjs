// Asks a replay server once for each of many byte offsets; runs in Node and in browsers.

/**
 * @param part `split`: two parts with a read between them; `cut`: only the first part.
 * @param first and last say which offsets.
 * @param client `(url, body, onRead)`, as in strict_client.mjs.
 * @param atOnce how many requests are open at a time.
 */
export async function atEveryOffset({ base, part, first, last }, client, atOnce) {
  const results = [];
  let next = first;
  async function ask() {
    while (next <= last) {
      const offset = next++;
      const url = `${base}/completions?${part}=${offset}`;
      const onRead = () => part === "split" && fetch(`${base}/read?split=${offset}`);
      results[offset - first] = await client(url, { messages: [] }, onRead);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, ask));
  return results;
}
