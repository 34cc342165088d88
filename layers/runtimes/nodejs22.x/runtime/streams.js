// `awslambda.streamifyResponse`. The response is sent when it is complete: this runtime does not stream.

import { Writable } from 'node:stream';

const METADATA = Symbol('metadata');

class ResponseStream extends Writable {
  constructor() {
    super();
    this.chunks = [];
  }

  setContentType(type) {
    this.contentType = type;
  }

  _write(chunk, encoding, done) {
    this.chunks.push(Buffer.from(chunk, encoding));
    done();
  }
}

export const streams = {
  streamifyResponse(handler) {
    const made = (...values) => handler(...values);
    return Object.assign(made, { isStreaming: true });
  },

  HttpResponseStream: {
    from(stream, metadata) {
      stream[METADATA] = metadata;
      return stream;
    },
  },

  async called(handler, event, context) {
    const stream = new ResponseStream();
    const finished = new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject));
    await handler(event, stream, context);
    await finished;
    return resultOf(stream);
  },
};

function resultOf(stream) {
  const body = Buffer.concat(stream.chunks);
  const text = body.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(body);
  const shown = isText ? { body: text } : { body: body.toString('base64'), isBase64Encoded: true };
  const metadata = stream[METADATA];
  if (metadata !== undefined) return { statusCode: 200, ...metadata, ...shown };
  if (stream.contentType !== undefined) {
    return { statusCode: 200, headers: { 'content-type': stream.contentType }, ...shown };
  }
  return isText ? text : shown.body;
}
