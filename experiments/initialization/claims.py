"""The answer, the table and the findings of initializers."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.harness import tables
from experiments.initialization.measure import JacobianResult

TITLED = 3  # number of cells in the title of the figure


def table(results: Sequence[JacobianResult]) -> tables.Table:
    """Norms and initial weights, one row per cell and initializer."""
    header = [
        "cell, initializer",
        "singular values of W_h by gate, mean",
        "largest",
        "bias of the forget gate",
        "log10 norm",
        "earlier, one seed",
        "difference",
    ]
    rows = []
    for result in results:
        mean, largest = result.singular or (None, None)
        difference = None if result.known is None else difference_from_known(result)
        rows.append(
            [
                f"{result.cell}, {result.init}",
                number_text(mean, "{:.3f}"),
                number_text(largest, "{:.3f}"),
                number_text(result.retention_bias, "{:+.2f}"),
                mean_text(result.last),
                number_text(result.known, "{:.1f}"),
                number_text(difference, "{:+.1f}"),
            ]
        )
    return tables.Table(header, rows)


def number_text(value: float | None, form: str) -> str:
    """A formatted number; "-" for None."""
    return "-" if value is None else form.format(value)


def difference_from_known(result: JacobianResult) -> float:
    """Mean over seeds minus the earlier measurement, rounded, without minus zero."""
    return round(result.mean - (result.known or 0.0), 1) + 0.0


def mean_text(values: Float[np.ndarray, " seeds"]) -> str:
    """Mean and standard deviation over seeds; "-inf" if some seed has norm zero."""
    if np.isneginf(values).any():
        return "-inf"
    return tables.mean_and_deviation(values, "{:.2f}")


def answer(results: Sequence[JacobianResult]) -> str:
    """The answer for the first cell, in one sentence."""
    cell = results[0].cell
    group = sort_by_norm([result for result in results if result.cell == cell])
    low, high = group[0], group[-1]
    if len(group) == 1:
        return (
            f"Over the whole sequence, {cell}'s Jacobian has a norm of "
            f"{power(low.mean)}."
        )
    if not low.last.max() < high.last.min():
        return (
            f"How far {cell}'s gradient reaches depends as much on the seed as on the "
            "initializer."
        )
    return (
        f"{cell}'s gradient reaches furthest from {high.init}, least from {low.init}."
    )


def findings(results: Sequence[JacobianResult]) -> list[str]:
    """Norms of cells that the title omits, and a comparison with earlier numbers."""
    names = list(dict.fromkeys(result.cell for result in results))[TITLED:]
    return [
        *(f"{title([r for r in results if r.cell == name])}." for name in names),
        *compare_with_one_seed([r for r in results if r.known is not None]),
    ]


def sort_by_norm(results: Sequence[JacobianResult]) -> list[JacobianResult]:
    """Results in ascending order of the norm over all steps."""
    return sorted(results, key=lambda result: np.nan_to_num(result.mean, nan=-np.inf))


def title(results: Sequence[JacobianResult]) -> str:
    """The finding for one cell: range of norms over its initializers."""
    steps, cell = results[0].times[-1], results[0].cell
    group = sort_by_norm(results)
    low, high = group[0], group[-1]
    if len(group) == 1:
        return (
            f"At initialization {cell}'s Jacobian over {steps} steps has a norm of "
            f"{power(low.mean)}"
        )
    if not low.last.max() < high.last.min():
        return (
            f"How far {cell}'s gradient reaches over {steps} steps depends as much on "
            "the seed as on the initializer"
        )
    return (
        f"At initialization {cell}'s Jacobian over {steps} steps has a norm of "
        f"{power(low.mean)} from {low.init}, of {power(high.mean)} from {high.init}"
    )


def power(log10: float) -> str:
    """A number as a power of ten.

    Args:
        log10: Its logarithm to base 10.

    Returns:
        Text such as "1e-18.6"; "0" for minus infinity.

    Example:
        >>> power(-18.63)
        '1e-18.6'
    """
    return f"1e{log10:+.1f}" if np.isfinite(log10) else "0"


def compare_with_one_seed(known: Sequence[JacobianResult]) -> list[str]:
    """Compare the order and the norms of initializers with the earlier measurements.

    Two initializers are in order if they are in order for every pair of seeds.
    """
    if not known:
        return []
    group = sorted(known, key=lambda result: -(result.known or 0.0))
    pairs = [(a, b) for i, a in enumerate(group) for b in group[i + 1 :]]
    reversed_pairs = [(a, b) for a, b in pairs if b.last.min() > a.last.max()]
    ordered = [(a, b) for a, b in pairs if a.last.min() > b.last.max()]
    undecided = [p for p in pairs if p not in reversed_pairs and p not in ordered]
    order = " > ".join(result.init for result in group)
    sentences = []
    if pairs:
        verb = "agrees, where the seeds decide," if undecided else "agrees"
        verb = "disagrees" if reversed_pairs else verb
        text = f"The order of the initializers {verb} with that of one seed, {order}"
        for word, some in (("reversed", reversed_pairs), ("undecided", undecided)):
            if some:
                names = ", ".join(f"{a.init} and {b.init}" for a, b in some)
                text += f"; {word}: {names}"
        sentences.append(text + ".")
    differences = ", ".join(f"{r.init} {difference_from_known(r):+.1f}" for r in group)
    return [
        *sentences,
        f"Mean over seeds minus the earlier seed, in log10: {differences}.",
    ]
