"""Assertions that two trees are close, by the cause of their differences."""

from functools import partial

import chex


def within(rtol: float, atol: float) -> partial[None]:
    """An assertion that two trees are equal to these tolerances."""
    return partial(chex.assert_trees_all_close, rtol=rtol, atol=atol)


# float32, operations in another order
assert_close = within(1e-5, 1e-6)
# float32, operations of another library
assert_close_to_peers = within(1e-5, 1e-5)
# float32, the same operations in another program
assert_equal_to_rounding = within(1e-6, 1e-6)
# float64
assert_close_float64 = within(1e-10, 1e-12)
# float64, where numbers below 0.01 are differences
assert_equal_float64 = within(1e-10, 1e-10)
