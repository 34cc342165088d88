// handler: none.handler
// event: {}
export const handler = async () => 1;
