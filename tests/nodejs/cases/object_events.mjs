// event: {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Fc.txt", "size": 7}}}]}
export const handler = async ({ Records }) => Records.map(({ s3 }) => `${s3.bucket.name}/${decodeURIComponent(s3.object.key.replace(/\+/g, ' '))}`);
