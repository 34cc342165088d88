// event: {"a": 1}
exports.handler = async (event) => ({ event, common: typeof require, file: __filename.split('/').pop() });
