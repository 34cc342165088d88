// event: {}
exports.handler = async () => { return };;; }
