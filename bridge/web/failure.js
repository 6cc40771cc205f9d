import { CutError, StreamError } from "./stream.js";

const AGAIN = "Trying again may help.";
const NO_USE = "The same request would fail again: change the question or the settings first.";

/** What each gRPC status means to the person who asked. */
const MEANINGS = {
  CANCELLED: "The server cancelled the answer.",
  UNKNOWN: "Something went wrong on the server.",
  INVALID_ARGUMENT: "The server can't use this question with these settings.",
  DEADLINE_EXCEEDED: "The answer took too long.",
  NOT_FOUND: "The server doesn't have what was asked for.",
  ALREADY_EXISTS: "The server already has what was to be made.",
  PERMISSION_DENIED: "You aren't allowed to ask this.",
  RESOURCE_EXHAUSTED: "The server is busy, or a limit is reached.",
  FAILED_PRECONDITION: "The server isn't in a state to answer this.",
  ABORTED: "The server gave the answer up.",
  OUT_OF_RANGE: "Something in the question or the settings is out of range.",
  UNIMPLEMENTED: "The server doesn't offer this.",
  INTERNAL: "Something broke inside the server.",
  UNAVAILABLE: "The model's server isn't available at the moment.",
  DATA_LOSS: "The server lost data that the answer needs.",
  UNAUTHENTICATED: "The server wants to know who you are first.",
};

/** Those after which the same request may succeed a little later. */
const TRANSIENT = ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "UNAVAILABLE"];

/** What an HTTP status tells of the gRPC status, where the wire itself tells none. */
const STATUSES = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  500: "UNKNOWN",
  501: "UNIMPLEMENTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/**
 * Says an error in words.
 *
 * @returns {{ title: string, said: string, advice: string, retryable: boolean }} what happened,
 *   what the server said of it (perhaps nothing), what to do, and whether a retry makes sense.
 */
export function describe(error) {
  if (error instanceof StreamError) return describeStreamError(error);
  if (error instanceof CutError) {
    const title = "The answer was cut on its way here, so it isn't whole.";
    return { title, said: "", advice: AGAIN, retryable: true };
  }
  if (error instanceof TypeError) {
    const title = "The bridge can't be reached.";
    return { title, said: "", advice: `Check the connection. ${AGAIN}`, retryable: true };
  }
  const title = "The page can't read what the server sent.";
  return { title, said: String(error), advice: NO_USE, retryable: false };
}

function describeStreamError({ message, code, retryable, httpStatus }) {
  const status = code ?? STATUSES[httpStatus];
  const again = retryable ?? (!status || TRANSIENT.includes(status));
  const title = MEANINGS[status] ?? unnamed(status, httpStatus);
  return { title, said: message, advice: again ? AGAIN : NO_USE, retryable: again };
}

function unnamed(status, httpStatus) {
  if (status) return `The server failed with ${status}.`;
  if (httpStatus) return `The server refused with HTTP status ${httpStatus}.`;
  return "The answer failed.";
}
