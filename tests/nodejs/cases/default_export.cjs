// event: {}
module.exports = { handler: async () => 'from module.exports' };
