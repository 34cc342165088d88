// event: {}
throw new RangeError('while loading');
