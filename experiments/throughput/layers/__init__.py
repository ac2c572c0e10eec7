"""How fast are the layers, next to other libraries?

Every layer starts from the same parameters and inputs, and is timed only if its outputs
and gradients equal those of this library to `measure.TOLERANCE`. Contenders that use
JAX take turns in one process, PyTorch in one process per number of threads.
"""
