// event: {}
import { kind } from 'dual';
import { deep } from 'dual/deep';
import own from '#own';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
let hidden;
try { require('dual/package-private'); } catch (error) { hidden = error.code; }
export const handler = async () => ({ kind, required: require('dual').kind, deep, own, hidden });
