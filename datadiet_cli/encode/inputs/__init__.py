"""Samples -> the raw tensors that a reference model takes; what is what is told by `nn.spec.Field`.

Nothing is scaled here: a model has its own scales inside. Kernels are module-level functions from a list of paths or
texts to (k, ...) rows and k causes, for `reading.read` to run.
"""
