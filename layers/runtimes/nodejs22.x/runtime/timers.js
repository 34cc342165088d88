// Timers that are pending when a step ends. The engine waits for referenced timers before it answers; AWS answers at
// once, so that these no longer count.

const pending = new Set();

export function watchTimers() {
  const { setTimeout, setInterval } = globalThis;
  globalThis.setTimeout = Object.assign((callback, delay, ...values) => {
    const done = (...them) => {
      pending.delete(timer);
      return callback(...them);
    };
    const timer = setTimeout(typeof callback === 'function' ? done : callback, delay, ...values);
    pending.add(timer);
    return timer;
  }, setTimeout);
  globalThis.setInterval = Object.assign((callback, delay, ...values) => {
    const timer = setInterval(callback, delay, ...values);
    pending.add(timer);
    return timer;
  }, setInterval);
}

export function settled() {
  for (const timer of pending) timer.unref?.();
  pending.clear();
}
