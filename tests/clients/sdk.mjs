// The AWS SDK for JavaScript drives a host.

import assert from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../.tools/node/", import.meta.url));
const sdk = require("@aws-sdk/client-lambda");

const client = new sdk.LambdaClient({ endpoint: process.env.ENDPOINT });
await client.send(new sdk.CreateFunctionCommand({
  FunctionName: "js", Runtime: "provided.al2023", Handler: "bootstrap",
  Role: "arn:aws:iam::000000000000:role/r", Code: { ZipFile: readFileSync(process.argv[2]) },
}));
await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 30 }, { FunctionName: "js" });
const answer = await client.send(new sdk.InvokeCommand({
  FunctionName: "js", Payload: JSON.stringify({ name: "JavaScript" }),
}));
assert.equal(JSON.parse(answer.Payload.transformToString()), "Hello, JavaScript!");
await assert.rejects(
  client.send(new sdk.GetFunctionCommand({ FunctionName: "none" })),
  { name: "ResourceNotFoundException" },
);
const streamed = await client.send(new sdk.InvokeWithResponseStreamCommand({
  FunctionName: "js", Payload: JSON.stringify({ name: "stream" }),
}));
let text = "", end;
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) text += new TextDecoder().decode(event.PayloadChunk.Payload);
  end = event.InvokeComplete ?? end;
}
assert.equal(JSON.parse(text), "Hello, stream!");
assert.ok(end && !end.ErrorCode);
await client.send(new sdk.DeleteFunctionCommand({ FunctionName: "js" }));
