// event: {}
import { setTimeout as sleep } from 'node:timers/promises';
export const handler = async () => {
  const order = [];
  const end = new Promise((resolve) => setTimeout(() => { order.push('timeout'); resolve(); }, 5));
  process.nextTick(() => order.push('tick'));
  const interval = setInterval(() => order.push('interval'), 2);
  clearInterval(interval);
  order.push('sync');
  await end;
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => queueMicrotask(resolve));
  const cleared = setTimeout(() => order.push('never'), 1);
  clearTimeout(cleared);
  const value = await sleep(3, 'slept');
  return { order, value };
};
