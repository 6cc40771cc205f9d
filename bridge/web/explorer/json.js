const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|".*$|[{}[\],:]|[^\s"{}[\],:]+/gs;
const INDENT = "  ";

/**
 * Spreads JSON over lines, up to about `limit` characters. The values stay as they are written,
 * also numbers that JavaScript can't hold.
 */
export function indented(json, limit = Infinity) {
  let lines = "";
  let depth = 0;
  let before = "";
  for (const [token] of json.matchAll(TOKENS)) {
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    const stays = isOpening(before) ? closes : !closes && before !== ",";
    lines += stays || !before ? token : newLine(depth) + token;
    if (token === ":") lines += " ";
    if (isOpening(token)) depth += 1;
    before = token;
    if (lines.length > limit) return `${lines.slice(0, limit)} …`;
  }
  return lines;
}

function isOpening(token) {
  return token === "{" || token === "[";
}

function newLine(depth) {
  return `\n${INDENT.repeat(Math.max(depth, 0))}`;
}
