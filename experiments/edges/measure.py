"""How alike learnt kernels are to those that people made, beside what chance gives."""

import numpy as np
from jaxtyping import Float

from experiments.edges import figures
from experiments.edges.figures import Learnt, Likeness
from experiments.harness import tables

# Each answers to horizontal edges or lines, and transposed to vertical ones.
FIXED = {
    "Sobel": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], np.float32),
    "Prewitt": np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]], np.float32),
    "line": np.array([[-1, -1, -1], [2, 2, 2], [-1, -1, -1]], np.float32),
}
KERNELS, SETS = 20_000, 5_000  # random ones, to know what chance gives


def cosines(
    kernels: Float[np.ndarray, "*sets 3 3 filters"],
) -> Float[np.ndarray, "*sets filters fixed 2"]:
    """How alike kernels are to the fixed ones, whatever their sign and their mean.

    A kernel's mean answers to brightness, of which a fixed one knows nothing: it is
    taken away. What is left has 8 dimensions, in which two directions at random have a
    |cosine| of about 0.3.

    Args:
        kernels: [*sets, 3, 3, filters].

    Returns:
        |cosine| of the angle to each of `FIXED` and to its transpose: [*sets, filters,
        fixed, 2].
    """
    flat = np.moveaxis(kernels, -1, -3).reshape(*kernels.shape[:-3], -1, 9)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(flat, axis=-1)[..., None, None]
    fixed = np.stack([[k.ravel(), k.T.ravel()] for k in FIXED.values()])
    fixed = fixed / np.linalg.norm(fixed, axis=-1, keepdims=True)
    return np.abs(np.einsum("...k,fdk->...fd", flat, fixed)) / np.maximum(length, 1e-30)


def closest(kernels: Float[np.ndarray, "seeds 3 3 filters"]) -> np.ndarray:
    """What each kernel is most alike, in words, [seeds, filters]."""
    alike = cosines(kernels)
    names = [f"{name} {mark}" for name in FIXED for mark in figures.MARKS]
    words = [
        f"{names[one.argmax()]} {one.max():.2f}"
        for one in alike.reshape(-1, len(names))
    ]
    return np.array(words).reshape(alike.shape[:2])


def likenesses(learnt: Learnt) -> list[Likeness]:
    """How alike the kernels of each seed are to each fixed one, beside chance.

    A seed has two numbers for each: the mean over its kernels, and its best kernel's.
    Chance is the same two numbers of as many kernels with independent normal weights.
    """
    rng = np.random.default_rng(0)
    random = cosines(rng.normal(size=(3, 3, KERNELS))).max(axis=-1)
    filters = learnt.after.shape[-1]
    sets = random[rng.integers(KERNELS, size=(SETS, filters))]  # [sets, filters, fixed]
    before = cosines(learnt.before).max(axis=-1)
    after = cosines(learnt.after).max(axis=-1)
    found = []
    for of, over in (("all", np.mean), ("best", np.max)):
        for i, name in enumerate(FIXED):
            median, high = np.quantile(over(sets[..., i], axis=1), [0.5, 0.95])
            b, a = (over(alike[..., i], axis=1) for alike in (before, after))
            found.append(Likeness(name, of, median, high, b, a))
    return found


def table(found: list[Likeness]) -> tables.Table:
    """|cosine| of the kernels and the fixed ones, a line for each of these."""
    header = [
        "|cosine| with",
        "kernels of a seed",
        "chance: median",
        "chance: 95 %",
        "before training",
        "after training",
        "seeds above chance's 95 %",
    ]
    rows = [
        [
            one.to,
            one.of,
            f"{one.median:.2f}",
            f"{one.high:.2f}",
            tables.mean_and_deviation(one.before, "{:.2f}"),
            tables.mean_and_deviation(one.after, "{:.2f}"),
            f"{one.above} of {len(one.after)}",
        ]
        for one in found
    ]
    return tables.Table(header, rows)
