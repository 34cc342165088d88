// event: {"rawPath": "/orders", "queryStringParameters": {"page": "2"}, "body": "{\"item\": \"book\"}", "isBase64Encoded": false}
export const handler = async (event) => {
  const body = JSON.parse(event.body);
  return { statusCode: 201, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ path: event.rawPath, page: Number(event.queryStringParameters.page), ...body }) };
};
