// Builtins of the engine whose results differ from those of Node.js.

export function complete() {
  const { toString } = Date.prototype;
  define(Date.prototype, 'toString', function () {
    const text = toString.call(this);
    return text.endsWith('GMT+0000') ? `${text} (Coordinated Universal Time)` : text;
  });
  const plain = Number.prototype.toLocaleString;
  define(Number.prototype, 'toLocaleString', function (locales, options) {
    return typeof Intl === 'object' && Intl.NumberFormat
      ? new Intl.NumberFormat(locales, options).format(this.valueOf())
      : plain.call(this);
  });
  const { fetch } = globalThis;
  define(globalThis, 'fetch', (resource, options) => fetched(fetch, resource, options));
}

function define(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true });
}

async function fetched(fetch, resource, options) {
  try {
    return await fetch(resource, described(options));
  } catch (error) {
    if (error instanceof TypeError || error?.name === 'AbortError' || error?.name === 'TimeoutError') throw error;
    throw new TypeError('fetch failed', { cause: error });
  }
}

/** Options with the headers of a body whose type and length are known: many servers read no chunked bodies. */
function described(options) {
  const [type, bytes] = facts(options?.body);
  if (bytes === undefined) return options;
  const headers = new Headers(options.headers);
  if (type !== undefined && !headers.has('content-type')) headers.set('content-type', type);
  if (!headers.has('content-length')) headers.set('content-length', String(bytes));
  // The engine's `fetch` drops the length from an object of `Headers`.
  return { ...options, headers: Object.fromEntries(headers) };
}

function facts(body) {
  if (typeof body === 'string') return ['text/plain;charset=UTF-8', Buffer.byteLength(body)];
  if (body instanceof URLSearchParams) {
    return ['application/x-www-form-urlencoded;charset=UTF-8', Buffer.byteLength(body.toString())];
  }
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return [undefined, body.byteLength];
  return [];
}
