// handler: index
// event: {}
export const handler = async () => 1;
