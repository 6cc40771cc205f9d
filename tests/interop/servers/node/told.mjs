// What the servers in Node have in common: what they are told, and what they tell.
import { readFileSync } from "node:fs";

export const told = JSON.parse(process.argv[2]);
export const certificate = readFileSync(told.certificate);
export const key = readFileSync(told.key);

export const INITIAL = "x-grpc-test-echo-initial";
export const TRAILING = "x-grpc-test-echo-trailing-bin";
export const CALL = "x-interop-call";
export const DETAILS = "x-interop-status-details-bin";

export const MAX_CONCURRENT_STREAMS = 100;

/** Returns the version of a package that is installed beside this module. */
export function versionOf(name) {
  const description = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(description)).version;
}

export function tell(event, fields) {
  process.stderr.write(`${JSON.stringify({ event, ...fields })}\n`);
}

/** Tells that a call began, if its client wants to know. */
export function began(call, initial, secondsLeft) {
  if (call != null) tell("began", { call, initial, seconds_left: secondsLeft });
}
