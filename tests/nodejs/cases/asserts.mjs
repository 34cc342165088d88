// event: {}
import assert from 'node:assert';
export const handler = async () => {
  const failures = [];
  for (const check of [
    () => assert.equal(1, 2), () => assert.deepStrictEqual({ a: 1 }, { a: 1 }), () => assert.ok(0, 'not ok'),
    () => assert.throws(() => { throw new TypeError('t'); }, TypeError), () => assert.rejects,
    () => assert.strictEqual('a', 'b', 'own text'),
  ]) {
    try { check(); failures.push(null); } catch (error) { failures.push([error.name, error.code, error.message.split('\n')[0]]); }
  }
  return failures;
};
