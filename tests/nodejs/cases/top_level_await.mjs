// event: {}
const value = await new Promise((resolve) => setTimeout(() => resolve(42), 2));
export const handler = async () => value;
