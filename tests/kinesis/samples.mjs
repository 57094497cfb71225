// The sample streams of make up: orders, changes of a DynamoDB table, and people. node samples.mjs ENDPOINT
// (The emulator wants a signature and does not look at it, so no SDK is needed.)
const endpoint = process.argv[2];

async function call(action, body) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `Kinesis_20131202.${action}`,
      "X-Amz-Date": "20260101T000000Z",
      Authorization: "AWS4-HMAC-SHA256 Credential=emulator/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0",
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${action}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : {};
}

async function stream(name, shards, records) {
  if ((await call("ListStreams", {})).StreamNames.includes(name)) return;
  await call("CreateStream", { StreamName: name, ShardCount: shards });
  while ((await call("DescribeStreamSummary", { StreamName: name })).StreamDescriptionSummary.StreamStatus !== "ACTIVE") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (let first = 0; first < records.length; first += 250) {
    const entries = records.slice(first, first + 250).map(([key, record]) => ({
      PartitionKey: key,
      Data: Buffer.from(JSON.stringify(record)).toString("base64"),
    }));
    const answer = await call("PutRecords", { StreamName: name, Records: entries });
    if (answer.FailedRecordCount) throw new Error(`${name}: ${answer.FailedRecordCount} records were not taken`);
  }
}

const numbers = (n) => Array.from({ length: n }, (_, i) => i + 1);
const states = ["WA", "OR", "CA", "NV", "ID"];

await stream("orders", 2, numbers(1000).map((n) => [
  `c${n % 97}`,
  { OrderID: String(n), ProductID: `p${n % 10}`, ConsumerID: `c${n % 97}`, Price: ((n * 37) % 20000) / 100, Quantity: (n % 5) + 1, State: states[n % 5] },
]));

await stream("demo-data-stream", 1, numbers(200).map((n) => [
  `c${n % 20}`,
  {
    eventName: n % 50 === 0 ? "REMOVE" : n > 100 ? "MODIFY" : "INSERT",
    dynamodb: {
      Keys: { pk: { S: `CUSTOMER#c${n % 20}` }, sk: { S: `TRANSACTION#t${((n - 1) % 100) + 1}` } },
      NewImage: {
        pk: { S: `CUSTOMER#c${n % 20}` },
        sk: { S: `TRANSACTION#t${((n - 1) % 100) + 1}` },
        OutofPockMax: { N: String(1000 + n) },
        OutofPockPercent: { N: String((n % 40) / 2) },
        OutofPockAmount: { N: String(n * 3) },
        Provider: { S: `provider ${n % 7}` },
        completionDateTime: { S: `2026-01-${String((n % 28) + 1).padStart(2, "0")}T10:00:00Z` },
        calculationRequirements: { M: { dependentIds: { L: n % 3 ? [] : [{ M: { sk: { S: `CUSTOMER#c${n}d` } } }] } } },
      },
    },
  },
]));

await stream("my-data-stream", 1, numbers(100).map((n) => [
  `u${n}`,
  {
    name: { title: n % 2 ? "Ms" : "Mr", first: `First${n}`, last: `Last${n}` },
    dob: { date: `19${50 + (n % 50)}-03-0${(n % 9) + 1}T00:00:00Z`, age: 30 + (n % 50) },
    cell: `555-01${String(n).padStart(2, "0")}`,
    email: `user${n}@example.com`,
    location: { city: ["Oslo", "Lima", "Pune"][n % 3], country: ["Norway", "Peru", "India"][n % 3] },
  },
]));
