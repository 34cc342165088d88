// event: {}
export const handler = async () => ({ n: 1n });
