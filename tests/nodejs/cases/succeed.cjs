// event: {"how": "succeed"}
// event: {"how": "fail"}
// event: {"how": "done"}
exports.handler = (event, context) => {
  if (event.how === 'succeed') context.succeed({ ok: 1 });
  else if (event.how === 'fail') context.fail(new RangeError('failed'));
  else context.done(null, 'done');
};
