// event: {"text": "abc"}
import { createHash, createHmac, pbkdf2Sync, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
export const handler = async ({ text }) => ({
  sha256: createHash('sha256').update(text).digest('hex'), md5: createHash('md5').update(text).digest('base64'),
  sha1: createHash('sha1').update('a').update('b').digest('hex'), sha512: createHash('sha512').update(text).digest('hex'),
  hmac: createHmac('sha256', 'key').update(text).digest('hex'),
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(randomUUID()),
  random: randomBytes(16).length, differ: randomUUID() !== randomUUID(),
  derived: pbkdf2Sync('secret', 'salt', 10, 16, 'sha256').toString('hex'),
  same: timingSafeEqual(Buffer.from('a'), Buffer.from('a')),
  subtle: Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).toString('hex'),
});
