// What a seller's pipeline does with the AWS SDK for JavaScript: it assumes a
// role, publishes with the session, and looks at the records of it. Then it
// tries the credentials that must be refused.
//
// It reads JSON from standard input:
//
//   endpoint, region   where the market is
//   user               the credentials of who assumes the role
//   role               its ARN
//   refused            credentials by name, none of them good
//
// and prints JSON: assumed, caller, published, recorded; and refused, with the
// code of each service's answer to each of the credentials, or "allowed".
// sessions_test.go judges it.

import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import {
  DescribeChangeSetCommand,
  DescribeEntityCommand,
  ListChangeSetsCommand,
  MarketplaceCatalogClient,
  paginateListEntities,
  StartChangeSetCommand,
} from "@aws-sdk/client-marketplace-catalog";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const { endpoint, region, user, role, refused } = JSON.parse(readFileSync(0, "utf8"));
const Catalog = "AWSMarketplace";

// clients are one of each protocol: query, REST-JSON and JSON 1.1.
function clients(credentials) {
  const config = { endpoint, region, credentials };
  return {
    sts: new STSClient(config),
    catalog: new MarketplaceCatalogClient(config),
    trail: new CloudTrailClient(config),
  };
}

// publish starts a change set and waits until it has ended.
async function publish(catalog, ...ChangeSet) {
  const { ChangeSetId } = await catalog.send(new StartChangeSetCommand({ Catalog, ChangeSet }));
  for (;;) {
    const set = await catalog.send(new DescribeChangeSetCommand({ Catalog, ChangeSetId }));
    if (set.Status !== "PREPARING" && set.Status !== "APPLYING") {
      if (set.Status !== "SUCCEEDED") throw new Error(`change set ${ChangeSetId} is ${set.Status}: ${JSON.stringify(set.ChangeSet)}`);
      return set;
    }
    await setTimeout(50);
  }
}

// recorded are the callers in the records of change sets.
async function recorded(trail) {
  const found = await trail.send(
    new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "StartChangeSet" }] }),
  );
  return found.Events.map((e) => JSON.parse(e.CloudTrailEvent).userIdentity.arn);
}

// code is the code of a service's refusal. What no service said is an error here.
async function code(call) {
  try {
    await call;
    return "allowed";
  } catch (e) {
    if (e.$metadata?.httpStatusCode !== 403) throw e;
    return e.name;
  }
}

const print = { refused: {} };

const session = await clients(user).sts.send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: "pipeline", DurationSeconds: 900 }));
const credentials = {
  accessKeyId: session.Credentials.AccessKeyId,
  secretAccessKey: session.Credentials.SecretAccessKey,
  sessionToken: session.Credentials.SessionToken,
};
print.assumed = { arn: session.AssumedRoleUser.Arn, expires: session.Credentials.Expiration.toISOString() };

const { sts, catalog, trail } = clients(credentials);
print.caller = (await sts.send(new GetCallerIdentityCommand({}))).Arn;

// As text and as a document: both spellings of the details, and quotes in them.
const title = 'From "JavaScript", with é';
const created = await publish(catalog, {
  ChangeType: "CreateProduct",
  Entity: { Type: "ContainerProduct@1.0" },
  DetailsDocument: { ProductTitle: title },
});
const product = created.ChangeSet[0].Entity.Identifier.split("@")[0];
await publish(catalog, {
  ChangeType: "UpdateInformation",
  Entity: { Type: "ContainerProduct@1.0", Identifier: product },
  Details: JSON.stringify({ Sku: "js-1" }),
});
const entity = await catalog.send(new DescribeEntityCommand({ Catalog, EntityId: product }));
let listed = 0;
for await (const page of paginateListEntities({ client: catalog, pageSize: 1 }, { Catalog, EntityType: "ContainerProduct" })) {
  listed += page.EntitySummaryList.length;
}
print.published = {
  revision: entity.EntityIdentifier.split("@")[1],
  title: entity.DetailsDocument.Description.ProductTitle,
  sku: JSON.parse(entity.Details).Description.Sku,
  listed,
};
print.recorded = await recorded(trail);

// The session itself, spoiled in the ways that need one.
const turned = Buffer.from(credentials.sessionToken, "base64");
turned[turned.length >> 1] ^= 1;
refused["tampered token"] = { ...credentials, sessionToken: turned.toString("base64") };
refused["no token"] = { ...credentials, sessionToken: undefined };
refused["wrong secret"] = { ...credentials, secretAccessKey: user.secretAccessKey };

for (const [name, credentials] of Object.entries(refused)) {
  const { sts, catalog, trail } = clients(credentials);
  print.refused[name] = {
    sts: await code(sts.send(new GetCallerIdentityCommand({}))),
    catalog: await code(catalog.send(new ListChangeSetsCommand({ Catalog }))),
    trail: await code(trail.send(new LookupEventsCommand({}))),
  };
}
console.log(JSON.stringify(print));
