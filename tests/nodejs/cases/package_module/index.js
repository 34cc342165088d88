// event: {}
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { double } from './numbers.js';
import common from './common.cjs';
export const handler = async () => ({ double: double(4), common: common.name, url: import.meta.url.split('/').pop(), text: readFileSync(join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, 'data.txt'), 'utf8').trim(), lazy: (await import('./numbers.js')).double(5) });
