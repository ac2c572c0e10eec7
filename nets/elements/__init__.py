"""Linear maps of a state, which linear recurrences compose in parallel over time.

A map A is stored as a factor, an array or a tuple of arrays. An `Element` contains the
functions of one form of factors:

- `elementwise`: a s, for a like the state s. Products that are too large or too small
  for the dtype are computed with separate exponents.
- `blocks`: B s, for small matrices B [..., n, n] and a state s [..., n], such as the
  position and velocity of an oscillator.
- `left_factor`: M S, for matrices M [..., K, K] and a state S [..., K, V].
- `diagonal_minus_rank_one`: (diag(w) - u v^T) S, for a factor (w, u, v) of vectors
  [..., K] and a state S [..., K, V]. Steps are combined as matrices; w may have one
  entry.
- `permuted_diagonal`: P diag(d) s, for a factor (P, d) and a state s [..., n]. Each
  column of P [..., n, n] is one-hot; a permutation is a special case. P may also be
  given without a gradient, as integers [..., n]: the row of each column's 1. Steps are
  combined by gathers, in n operations instead of n^3.
"""

from nets.elements.element import Element, prefix_states, transposed
from nets.elements.elementwise import elementwise
from nets.elements.matrices import blocks, diagonal_minus_rank_one, left_factor
from nets.elements.permuted_diagonal import permuted_diagonal

__all__ = [
    "Element",
    "blocks",
    "diagonal_minus_rank_one",
    "elementwise",
    "left_factor",
    "permuted_diagonal",
    "prefix_states",
    "transposed",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
