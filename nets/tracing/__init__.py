"""Traced programs of a cell: tags on values, and perturbations of the state."""
