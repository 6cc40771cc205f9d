// A gRPC server with all four kinds of RPC, and with reflection. It prints its port.
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";

const proto = fileURLToPath(new URL("route_guide.proto", import.meta.url));
const definition = protoLoader.loadSync(proto, { longs: String, defaults: true });
const { RouteGuide } = grpc.loadPackageDefinition(definition).guide.v1;

function getFeature({ request }, answer) {
  if (request.latitude > 90) answer({ code: grpc.status.OUT_OF_RANGE, details: "no such latitude" });
  else answer(null, { name: `place ${request.latitude}`, location: request });
}

function listFeatures(call) {
  const { low, high } = call.request;
  for (let latitude = low.latitude; latitude < high.latitude; latitude++) {
    call.write({ name: `place ${latitude}`, location: { latitude, longitude: low.longitude } });
  }
  if (high.latitude > 90) call.emit("error", { code: grpc.status.DATA_LOSS, details: "torn map" });
  else call.end();
}

function recordRoute(call, answer) {
  let pointCount = 0;
  call.on("data", () => pointCount++);
  call.on("end", () => answer(null, { pointCount, distance: "9007199254740993" }));
}

function routeChat(call) {
  call.on("data", (note) => call.write({ ...note, message: note.message.toUpperCase() }));
  call.on("end", () => call.end());
}

const server = new grpc.Server();
server.addService(RouteGuide.service, { getFeature, listFeatures, recordRoute, routeChat });
new ReflectionService(definition).addToServer(server);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
