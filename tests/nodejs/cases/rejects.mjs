// event: {}
export const handler = () => Promise.reject(new Error('rejected'));
