// event: {}
export const handler = async () => ({ a: undefined, b: [undefined, NaN, Infinity, () => 1], c: new Date(0), d: new Map([[1, 2]]) });
