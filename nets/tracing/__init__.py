"""Programs of a cell: values tagged in them, and states perturbed."""
