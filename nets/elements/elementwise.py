"""Diagonal maps: one number per entry of the state."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from nets.elements.element import Element, tree


def _multiply(a, s):
    """The product of two arrays."""
    return a * s


def _scan_products(a, b):
    """Plain products, or products with separate exponents where a product can overflow.

    If no a is above 1, no product overflows, and a product that underflows is
    negligible relative to finite b. Slight growth, as by a rounded 1, is allowed.
    """
    squared = jnp.square(a.real) + jnp.square(a.imag) if _is_complex(a) else a * a
    bounded = jnp.prod(jnp.maximum(squared, 1), axis=0) < 2.0**32
    simple = bounded.all() & jnp.isfinite(b).all()
    plain, growing = (partial(tree, element) for element in (_PLAIN, _GROWING))
    return jax.lax.cond(simple, plain, growing, a, b)


def _multiply_shifted(factor, s):
    """The product of a number times a power of 2, and an array."""
    a, power = factor
    return _shifted(a * s, power)


def _combine_shifted(later, earlier):
    """The product of two numbers times powers of 2."""
    (a2, power2), (a1, power1) = later, earlier
    a12, power = _normalized(a2 * a1)
    return a12, power + power1 + power2


def _normalized(a: Array) -> tuple[Array, Array]:
    """Split into mantissas with magnitudes from 1/2 to 1 (or 0) and exponents of 2."""
    parts = (a.real, a.imag) if _is_complex(a) else (a,)
    size = jnp.stack([jnp.abs(part) for part in parts]).max(axis=0)
    power = jnp.frexp(size)[1]
    return _shifted(a, -power), power


def _shifted(a: Array, power: Array) -> Array:
    """Return a * 2^power."""
    if _is_complex(a):
        return jax.lax.complex(_shifted(a.real, power), _shifted(a.imag, power))
    return jnp.ldexp(a, power)


def _is_complex(a: Array) -> bool:
    return jnp.issubdtype(a.dtype, jnp.complexfloating)


_PLAIN = Element(_multiply, _multiply, jnp.ones_like)
# Otherwise an infinite product times a state of zero would be NaN.
_GROWING = Element(_multiply_shifted, _combine_shifted, jnp.ones_like, _normalized)
elementwise = _PLAIN._replace(scan=_scan_products)
