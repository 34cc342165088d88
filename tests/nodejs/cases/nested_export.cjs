// handler: index.api.orders.get
// event: {"id": 7}
exports.api = { orders: { get: async (event) => ({ got: event.id }) } };
