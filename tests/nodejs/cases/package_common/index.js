// event: {}
const { double } = require('./lib/numbers');
const settings = require('./settings.json');
exports.handler = async () => ({ double: double(settings.n), main: require('greet').greet('x'), again: require('./lib/numbers') === require('./lib/numbers.js'), resolved: require.resolve('greet').replace(__dirname, '') });
