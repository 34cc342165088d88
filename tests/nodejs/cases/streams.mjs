// event: {}
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
export const handler = async () => {
  const got = [];
  const upper = new Transform({ transform(chunk, _, done) { done(null, String(chunk).toUpperCase()); } });
  const sink = new Writable({ write(chunk, _, done) { got.push(String(chunk)); done(); } });
  await pipeline(Readable.from(['a', 'b', 'c']), upper, sink);
  const read = [];
  for await (const it of Readable.from([1, 2, 3])) read.push(it);
  return { got, read };
};
