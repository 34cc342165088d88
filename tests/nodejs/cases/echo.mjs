// event: {"a": [1, 2.5, null, true, "ü"], "b": {}}
// event: "text"
// event: null
// event: 12345678901
export const handler = async (event) => event;
