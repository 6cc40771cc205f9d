/** The codes that are OpenAI's; any other is the name of a gRPC status. */
const STATUSES = {
  invalid_api_key: "UNAUTHENTICATED",
  model_not_found: "NOT_FOUND",
  rate_limit_exceeded: "RESOURCE_EXHAUSTED",
};

/** Returns what OpenAI's error object says. */
export function failureOf({ message, code }) {
  return { message, code: STATUSES[code] ?? code?.toUpperCase() };
}
