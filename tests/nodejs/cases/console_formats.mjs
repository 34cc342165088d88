// event: {"a": {"b": [1, {"c": {"d": 1}}]}}
export const handler = async (event) => {
  console.log('plain');
  console.log('two', 'words', 3, null, undefined, true);
  console.info('%s is %d of %j, %i and %f', 'x', 4.5, { a: 1 }, 7.9, '1.5');
  console.warn(event);
  console.error([1, 'two', { three: 3 }]);
  console.debug(new Map([['k', 1]]), new Set([1, 2]), Symbol('s'), 10n);
  console.log({ text: 'a \'quoted\' one', date: new Date(0), re: /x+/g, f: function named() {}, u: undefined });
  console.log(Buffer.from('abc'), new Uint8Array([1, 2]));
  console.log('100%', 'done %s');
};
