// The interop test service on @connectrpc/connect-node: Connect's gRPC, on Node's HTTP/2.
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, decodeBinaryHeader } from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import {
  CALL,
  DETAILS,
  INITIAL,
  MAX_CONCURRENT_STREAMS,
  TRAILING,
  began,
  certificate,
  key,
  tell,
  told,
  versionOf,
} from "./told.mjs";

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(told.descriptors)),
);
const TestService = registry.getService("grpc.testing.TestService");
const CompletionService = registry.getService("completion.v1.CompletionService");
const RpcStatus = registry.getMessage("google.rpc.Status");

function begin(context) {
  const asked = context.requestHeader;
  const left = context.timeoutMs();
  began(asked.get(CALL), asked.get(INITIAL), left === undefined ? null : left / 1000);
  if (asked.has(INITIAL)) context.responseHeader.set(INITIAL, asked.get(INITIAL));
  if (asked.has(TRAILING)) context.responseTrailer.set(TRAILING, asked.get(TRAILING));
}

function failIfAsked(request, context) {
  const status = request.responseStatus;
  if (!status?.code) return;
  const error = new ConnectError(status.message, status.code);
  const details = context.requestHeader.get(DETAILS);
  if (details !== null) {
    error.details = fromBinary(RpcStatus, decodeBinaryHeader(details)).details.map((any) => ({
      type: any.typeUrl.split("/").at(-1),
      value: any.value,
    }));
  }
  throw error;
}

const payload = (size) => ({ payload: { body: new Uint8Array(size) } });

function unaryCall(request, context) {
  begin(context);
  failIfAsked(request, context);
  return payload(request.responseSize);
}

async function* streamingOutputCall(request, context) {
  begin(context);
  const { signal } = context;
  const call = context.requestHeader.get(CALL);
  let done = false;
  signal.addEventListener("abort", () => {
    if (!done && call !== null) tell("cancelled", { call });
  });
  for (const { size, intervalUs } of request.responseParameters) {
    if (intervalUs) await sleep(intervalUs / 1000, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
    yield payload(size);
  }
  done = true;
  failIfAsked(request, context);
}

async function* streamCompletion({ model }) {
  yield { index: 0n, text: "a" };
  yield { index: 1n, text: "b" };
  if (model === "fails") throw new ConnectError("No more.", Code.ResourceExhausted);
}

function routes(router) {
  const emptyCall = () => ({});
  router.service(TestService, { emptyCall, unaryCall, streamingOutputCall });
  router.service(CompletionService, { streamCompletion });
}

// It compresses everything that is longer than 1 KiB and that a client can read; or nothing.
const plainly = connectNodeAdapter({ routes, acceptCompression: [] });
const compressing = connectNodeAdapter({ routes, acceptCompression: [compressionGzip] });
const settings = { maxConcurrentStreams: MAX_CONCURRENT_STREAMS };
const servers = [
  http2.createServer({ settings }, plainly),
  http2.createSecureServer({ settings, cert: certificate, key }, plainly),
  http2.createServer({ settings }, compressing),
];
const sessions = new Set();

function listen(server) {
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${server.address().port}`)),
  );
}

process.once("SIGTERM", () => {
  for (const server of servers) server.close();
  // Sends GOAWAY, and lets what is open finish.
  for (const session of sessions) session.close();
});
const [address, tls, compressed] = await Promise.all(servers.map(listen));
const version = versionOf("@connectrpc/connect-node");
tell("listening", { version, address, tls, compressing: compressed });
