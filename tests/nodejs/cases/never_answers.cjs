// event: {}
exports.handler = (event, context, callback) => { setTimeout(() => console.log('last'), 1); };
