const NAMES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** Returns a failure from the JSON of a `google.rpc.Status`, in which the code is a number. */
export function failureOf({ code, message, details = [] }) {
  const name = NAMES[code] ? `${NAMES[code]} (${code})` : String(code ?? "an error");
  return { name, message: message ?? "", details };
}
