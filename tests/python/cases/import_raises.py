# event: {}
raise RuntimeError("no configuration")
