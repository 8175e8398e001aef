"""Container images without a daemon: a base, packages, code and a model, each in layers of their own."""
