// event: {}
exports.handler = (event, context, callback) => { callback('a text'); };
