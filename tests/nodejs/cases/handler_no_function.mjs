// handler: index.handler
// event: {}
export const handler = 'x';
