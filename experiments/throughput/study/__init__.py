"""How fast is a whole study, next to PyTorch and to a plain loop in JAX?"""
