"""How fast are the layers on a GPU, next to PyTorch with cuDNN and to other libraries?

XLA's flags `CUDA_GRAPH` run a whole loop as one CUDA graph. They hold for all programs
of a process, so a separate process times this library under them.
"""
