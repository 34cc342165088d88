// event: {"Records": [{"kinesis": {"data": "eyJhIjoxfQ==", "partitionKey": "p"}}]}
export const handler = async ({ Records }) => Records.map(({ kinesis }) => JSON.parse(Buffer.from(kinesis.data, 'base64').toString()));
