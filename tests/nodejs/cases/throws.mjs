// event: {"kind": "Error"}
// event: {"kind": "TypeError"}
// event: {"kind": "own"}
// event: {"kind": "text"}
// event: {"kind": "object"}
// event: {"kind": "undefined"}
class OrderError extends Error { constructor(message) { super(message); this.name = 'OrderError'; } }
export const handler = async ({ kind }) => {
  console.log('before', kind);
  if (kind === 'Error') throw new Error('an error');
  if (kind === 'TypeError') throw new TypeError('a type');
  if (kind === 'own') throw new OrderError('not found: 7');
  if (kind === 'text') throw 'a text';
  if (kind === 'object') throw { code: 1 };
  throw undefined;
};
