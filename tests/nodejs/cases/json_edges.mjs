// event: {"__proto__": {"x": 1}, "big": 9007199254740993, "e": 1e400, "u": "\u2028\ud83d\ude00"}
export const handler = async (event) => ({ keys: Object.keys(event), big: event.big, e: event.e, u: event.u, x: event.x ?? null });
