// event: {"text": "héllo wörld"}
export const handler = async ({ text }) => {
  const buffer = Buffer.from(text);
  const joined = Buffer.concat([buffer, Buffer.alloc(2, 'z'), Buffer.from([0x01, 0xff])]);
  return {
    length: buffer.length, base64: buffer.toString('base64'), url: Buffer.from([251, 255]).toString('base64url'),
    hex: joined.toString('hex'), slice: buffer.subarray(1, 4).toString('latin1'), equal: buffer.equals(Buffer.from(text)),
    back: Buffer.from('aGk=', 'base64').toString(), number: joined.readUInt16BE(0), index: buffer.indexOf('w'),
    json: Buffer.from('a').toJSON(), compare: Buffer.compare(Buffer.from('a'), Buffer.from('b')), bytes: Buffer.byteLength(text),
  };
};
