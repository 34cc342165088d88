// event: {"Records": [{"messageId": "1", "body": "{\"n\": 1}"}, {"messageId": "2", "body": "broken"}, {"messageId": "3", "body": "{\"n\": 3}"}]}
export const handler = async (event) => {
  const failed = [];
  let sum = 0;
  for (const record of event.Records) {
    try { sum += JSON.parse(record.body).n; } catch { console.warn(`message ${record.messageId} is broken`); failed.push({ itemIdentifier: record.messageId }); }
  }
  console.log('sum', sum);
  return { batchItemFailures: failed };
};
