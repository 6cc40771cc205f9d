/** How Server-Sent Events are framed: a frame is lines with fields, and a blank line. */
export const events = {
  end: "\n\n",
  data(frame) {
    const lines = frame.split("\n").filter((line) => line.startsWith("data: "));
    return lines.map((line) => line.slice("data: ".length)).join("\n");
  },
};

/** How JSON is framed that comes in lines: each line is a frame. */
export const lines = { end: "\n", data: (frame) => frame };

/** Returns what a frame carries: nothing if it is a comment, or was cut before its end. */
export function dataOf(frame, framing) {
  return frame.endsWith(framing.end) ? framing.data(frame) : "";
}

/**
 * Yields each frame of a body as soon as it has come, just as it was sent, with its end. What a cut
 * has left of one comes last. Throws what `read` throws when the connection breaks.
 */
export async function* framesOf(body, framing) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const frames = (rest + decoder.decode(value, { stream: true })).split(framing.end);
      rest = frames.pop();
      for (const frame of frames) yield frame + framing.end;
    }
    if (rest) yield rest;
  } catch (error) {
    if (rest) yield rest;
    throw error;
  } finally {
    reader.cancel().catch(() => {}); // it rejects when the connection is broken already
  }
}
