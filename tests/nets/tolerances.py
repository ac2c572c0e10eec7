"""How close two trees of arrays have to be, by what may make them differ."""

from functools import partial

import chex


def within(rtol: float, atol: float) -> partial[None]:
    """An assertion that two trees are equal to these tolerances."""
    return partial(chex.assert_trees_all_close, rtol=rtol, atol=atol)


close = within(1e-5, 1e-6)  # float32, operations in another order
close_to_peers = within(1e-5, 1e-5)  # float32, operations of another library
closest = within(1e-6, 1e-6)  # float32, the same operations in another program
closely = within(1e-10, 1e-12)  # float64
exactly = within(1e-10, 1e-10)  # float64, where numbers below 0.01 are differences
