// event: {}
import { EventEmitter, once } from 'node:events';
export const handler = async () => {
  const emitter = new EventEmitter();
  const got = [];
  emitter.on('a', (x) => got.push(['on', x]));
  emitter.once('a', (x) => got.push(['once', x]));
  emitter.prependListener('a', (x) => got.push(['first', x]));
  const waited = once(emitter, 'b');
  emitter.emit('a', 1); emitter.emit('a', 2); emitter.emit('b', 'value');
  let message;
  try { emitter.emit('error', new Error('unhandled')); } catch (error) { message = error.message; }
  return { got, waited: await waited, count: emitter.listenerCount('a'), none: emitter.emit('none'), message };
};
