// event: {}
import util from 'node:util';
export const handler = async () => {
  const later = util.promisify((value, callback) => setImmediate(() => callback(null, value * 2)));
  return {
    later: await later(21), text: util.format('%s:%o', 'a', [1]), inspect: util.inspect({ a: { b: { c: { d: 1 } } } }, { depth: 1 }),
    same: util.isDeepStrictEqual({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), date: util.types.isDate(new Date()),
    long: util.inspect(Array.from({ length: 120 }, (_, at) => at)).split('\n').length, cls: util.inspect(new (class Order { n = 1; })()),
    error: util.inspect(new Error('x')).split('\n')[0],
  };
};
