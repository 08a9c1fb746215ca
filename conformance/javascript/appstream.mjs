// The AWS SDK for JavaScript as a client of AppStream that is told what to do: the
// first line of standard input is its configuration, each further one an operation
// with its input, as JSON. It answers each with a line: output, refused (code and
// message of the service's exception), or problem. appstream_clients_test.go asks.

import { createInterface } from "node:readline";
import * as AppStream from "@aws-sdk/client-appstream";
import { AwsSmithyRpcV2CborProtocol } from "@aws-sdk/core/protocols";

// The protocols that can be asked for by their names; else the SDK chooses.
const protocols = { "rpc-v2-cbor": AwsSmithyRpcV2CborProtocol };

let client;
for await (const line of createInterface({ input: process.stdin })) {
  if (!client) {
    const { protocol, ...configuration } = JSON.parse(line);
    if (protocol) {
      configuration.protocol = protocols[protocol];
    }
    client = new AppStream.AppStreamClient(configuration);
    continue;
  }
  const { operation, input } = JSON.parse(line);
  let answer;
  try {
    const { $metadata, ...output } = await client.send(new AppStream[operation + "Command"](input));
    answer = { output };
  } catch (e) {
    answer = e.$fault ? { refused: { code: e.name, message: e.message } } : { problem: String(e.stack) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
