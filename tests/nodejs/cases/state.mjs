// event: {}
// event: {}
// event: {}
let calls = 0;
export const handler = async () => ++calls;
