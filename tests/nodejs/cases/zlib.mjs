// event: {"text": "aaaaaaaaaabbbbbbbbbb"}
import { deflateSync, gunzipSync, gzip, gzipSync, inflateSync } from 'node:zlib';
import { promisify } from 'node:util';
export const handler = async ({ text }) => ({
  gzip: gunzipSync(gzipSync(text)).toString(), deflate: inflateSync(deflateSync(text)).toString(),
  async: gunzipSync(await promisify(gzip)(text)).toString(), known: gunzipSync(Buffer.from('H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==', 'base64')).toString(),
});
