// The interop test service on @grpc/grpc-js.
import { setTimeout as sleep } from "node:timers/promises";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";
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

const load = (file) =>
  grpc.loadPackageDefinition(
    loader.loadSync(file, { includeDirs: told.protos, keepCase: true, defaults: true }),
  );
const { TestService } = load("test.proto").grpc.testing;
const { CompletionService } = load("completion/v1/completion.proto").completion.v1;

const first = (metadata, name) => metadata.get(name)[0] ?? null;

function begin(call) {
  const deadline = call.getDeadline();
  const secondsLeft = Number.isFinite(+deadline) ? (deadline - Date.now()) / 1000 : null;
  const initial = first(call.metadata, INITIAL);
  began(first(call.metadata, CALL), initial, secondsLeft);
  if (initial === null) return;
  const metadata = new grpc.Metadata();
  metadata.set(INITIAL, initial);
  call.sendMetadata(metadata);
}

function trailers(call) {
  const metadata = new grpc.Metadata();
  const trailing = first(call.metadata, TRAILING);
  const details = first(call.metadata, DETAILS);
  if (trailing !== null) metadata.set(TRAILING, trailing);
  if (details !== null) metadata.set("grpc-status-details-bin", details);
  return metadata;
}

/** The error that the request asks for, or null. */
function failure(call) {
  const status = call.request.response_status;
  if (!status?.code) return null;
  return { code: status.code, details: status.message, metadata: trailers(call) };
}

const payload = (size) => ({ payload: { body: Buffer.alloc(size) } });

function unaryCall(call, callback) {
  begin(call);
  const error = failure(call);
  if (error) callback(error);
  else callback(null, payload(call.request.response_size), trailers(call));
}

async function streamingOutputCall(call) {
  begin(call);
  let done = false;
  call.on("cancelled", () => {
    const id = first(call.metadata, CALL);
    if (!done && id !== null) tell("cancelled", { call: id });
  });
  for (const { size, interval_us: interval } of call.request.response_parameters) {
    if (interval) await sleep(interval / 1000);
    if (call.cancelled) return;
    if (!call.write(payload(size))) await new Promise((resolve) => call.once("drain", resolve));
  }
  done = true;
  const error = failure(call);
  if (error) call.emit("error", error);
  else call.end(trailers(call));
}

function streamCompletion(call) {
  ["a", "b"].forEach((text, index) => call.write({ index, text }));
  if (call.request.model === "fails") {
    call.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED, details: "No more." });
  } else call.end();
}

const server = new grpc.Server({ "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS });
server.addService(TestService.service, {
  EmptyCall: (call, callback) => callback(null, {}),
  UnaryCall: unaryCall,
  StreamingOutputCall: streamingOutputCall,
});
server.addService(CompletionService.service, { StreamCompletion: streamCompletion });

function listen(credentials) {
  return new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    ),
  );
}

const pair = [{ private_key: key, cert_chain: certificate }];
const address = await listen(grpc.ServerCredentials.createInsecure());
const tls = await listen(grpc.ServerCredentials.createSsl(null, pair));
process.once("SIGTERM", () => server.tryShutdown(() => process.exit()));
tell("listening", { version: versionOf("@grpc/grpc-js"), address, tls });
