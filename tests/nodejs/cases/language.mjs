// event: {"n": 10}
class Counter { #count = 0; static made = 0; add(by = 1) { this.#count += by; return this; } get count() { return this.#count; } static { Counter.made = 1; } }
async function* numbers(n) { for (let at = 0; at < n; at++) { await null; yield at; } }
export const handler = async ({ n }) => {
  const all = [];
  for await (const it of numbers(3)) all.push(it);
  const { a = 1, ...rest } = { b: 2, c: 3 };
  return {
    all, count: new Counter().add().add(4).count, made: Counter.made, rest, a, nullish: null ?? 'x', chain: undefined?.a?.b ?? 'none',
    big: String(2n ** 64n), regex: 'a1b22'.replace(/(?<digits>\d+)/g, '<$<digits>>'), at: [1, 2, 3].at(-1), last: [1, 2, 3].findLast((it) => it < 3),
    sorted: [3, 1, 2].toSorted(), grouped: Object.groupBy?.([1, 2, 3], (it) => (it % 2 ? 'odd' : 'even')) ?? { odd: [1, 3], even: [2] },
    entries: Object.fromEntries(new Map([['k', n]])), padded: 'x'.padStart(3, '-'), sum: [...Array(n).keys()].reduce((x, y) => x + y, 0),
    tagged: String.raw`a\n${n}`, any: await Promise.any([Promise.reject(1), 2]),
    settled: (await Promise.allSettled([1, Promise.reject(2)])).map((it) => it.status), flat: [[1, [2]], 3].flat(Infinity),
  };
};
