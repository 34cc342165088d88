// event: {}
exports.handler = (event) => { null.member; };
