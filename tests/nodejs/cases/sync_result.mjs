// event: {}
export const handler = () => { console.log('runs'); };
