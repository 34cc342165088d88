// event: {"ms": 5}
// event: {"fail": "no"}
// event: {}
exports.handler = (event, context, callback) => {
  if (event.fail) return void callback(new TypeError(event.fail));
  if (event.ms) return void setTimeout(() => callback(null, { waited: true }), event.ms);
  callback(null, 'at once');
};
