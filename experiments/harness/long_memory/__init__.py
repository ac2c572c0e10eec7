"""Tasks that need a long memory, the training on them, and the report."""
