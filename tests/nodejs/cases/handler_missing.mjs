// handler: index.other
// event: {}
export const handler = async () => 1;
