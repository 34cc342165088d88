// event: {}
export const handler = async () => {
  const copy = structuredClone({ a: new Date(0), b: new Map([[1, { c: 2 }]]), d: [1n] });
  const controller = new AbortController();
  controller.abort(new Error('stop'));
  const target = new EventTarget();
  let heard = 0;
  target.addEventListener('x', () => heard++);
  target.dispatchEvent(new Event('x'));
  return {
    copy: [copy.a.getTime(), copy.b.get(1).c, String(copy.d[0])], reason: controller.signal.reason.message, heard,
    atob: atob('aGk='), btoa: btoa('hi'), decoded: new TextDecoder().decode(new Uint8Array([0xe2, 0x82, 0xac])),
    types: [typeof fetch, typeof Headers, typeof Request, typeof Response, typeof performance.now(), typeof globalThis, typeof Blob],
    headers: [...new Headers({ 'X-A': '1', b: '2' })].sort(), response: await new Response('{"a":1}').json(),
  };
};
