// event: {"wait": true}
// event: {"wait": false}
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.wait;
  const steps = [];
  setTimeout(() => steps.push('timer'), 10);
  callback(null, steps);
};
