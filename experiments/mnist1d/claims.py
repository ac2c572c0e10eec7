"""The answer, the tables and the claims."""

from collections.abc import Sequence

from experiments.harness import plotting, tables
from experiments.harness.claims import Case, Claim, claim_of_cases, judge, within
from experiments.harness.intervals import interval
from experiments.mnist1d.config import CNN, FEED_FORWARD, LINEAR, MLP
from experiments.mnist1d.measure import (
    ACCURACIES,
    POOLING,
    PYTORCH,
    TOLERANCES,
    ModelResult,
)

POINTS = "{:+.1f}"
ELMAN, GATED, GRU = "elman", ("lstm", "gru"), "gru"
ELSEWHERE = "README", "notebook"


def written(name: str) -> str:
    """The name of a model in a sentence."""
    names = {LINEAR: "linear", MLP: "MLP", CNN: "CNN"}
    return names.get(name, plotting.written(name))


def by_name(results: Sequence[ModelResult]) -> dict[str, ModelResult]:
    """Results by the name of the model."""
    return {result.name: result for result in results}


def reproduced(results: Sequence[ModelResult]) -> list[str]:
    """Models whose mean is within the tolerance of the authors' notebook."""
    return [
        result.name
        for result in results
        if result.name in ACCURACIES
        and abs(result.accuracy.mean() - ACCURACIES[result.name][1])
        <= TOLERANCES[result.name]
    ]


def answer(results: Sequence[ModelResult], as_published: bool) -> str:
    """The answer: how many of the notebook's numbers are reproduced; the best model."""
    best = max(results, key=lambda result: result.accuracy.mean())
    first = f"The most accurate is {written(best.name)}: {_percent(best)}"
    count = sum(result.name in ACCURACIES for result in results)
    if not count or not as_published:
        return f"{first}."
    return (
        f"{len(reproduced(results))} of {count} accuracies of the authors' notebook "
        f"are reproduced within their tolerance. {first}."
    )


def _percent(result: ModelResult) -> str:
    """The accuracy of a model, in words."""
    return f"{result.accuracy.mean():.1f} %"


def table(results: Sequence[ModelResult]) -> tables.Table:
    """Accuracies and published numbers, one row per model."""
    header = [
        *("model", "units", "parameters", "test accuracy, %", "mean [95 % interval]"),
        *(f"{name}, %" for name in ELSEWHERE),
        *("deviation from notebook", "tolerance", "within", "PyTorch, %", "seconds"),
    ]
    rows = []
    for result in results:
        known = ACCURACIES.get(result.name)
        judged = ["-"] * 5
        if known:
            tolerance = TOLERANCES[result.name]
            deviation = result.accuracy.mean() - known[1]
            judged = [
                *(f"{value:.1f}" for value in known),
                f"{deviation:+.1f}",
                f"{tolerance:g}",
                "yes" if abs(deviation) <= tolerance else "no",
            ]
        there = PYTORCH.get(result.name)
        rows.append(
            [
                result.name,
                f"2 x {result.units}" if result.units else "-",
                f"{result.parameters:,}",
                tables.mean_and_deviation(result.accuracy, "{:.1f}"),
                interval(result.accuracy).text("{:.1f}"),
                *judged,
                "-" if there is None else f"{there:.1f}",
                f"{result.seconds:.0f}",
            ]
        )
    return tables.Table(header, rows)


def evaluate_claims(results: Sequence[ModelResult], as_published: bool) -> list[Claim]:
    """The claims that the models can decide.

    Args:
        results: Results of the models.
        as_published: Whether they were trained as the authors' were.

    Returns:
        The claims.
    """
    models = by_name(results)
    makers = gates_claims, convolution_claims, gru_claims
    if as_published:
        makers = reproduced_claims, *makers
    return [claim for make in makers for claim in make(models)]


def reproduced_claims(models: dict[str, ModelResult]) -> list[Claim]:
    """Claims that the published numbers are reproduced, by their source."""
    known = [result for name, result in models.items() if name in ACCURACIES]
    if not known:
        return []
    claims = []
    for i, source in enumerate(ELSEWHERE):
        cases = []
        for result in known:
            bounds = interval(result.accuracy - ACCURACIES[result.name][i])
            tolerance = TOLERANCES[result.name]
            cases.append(
                Case(
                    f"{written(result.name)}, ± {tolerance:g}",
                    bounds.text(POINTS),
                    within(bounds, tolerance),
                )
            )
        text = f"The accuracies of the authors' {source} are reproduced"
        evidence = "Test accuracy minus the published one, in percentage points."
        claims.append(claim_of_cases(text, evidence, cases))
    return claims


def gates_claims(models: dict[str, ModelResult]) -> list[Claim]:
    """Claim that gates help at the same shape."""
    gated = [models[name] for name in GATED if name in models]
    if ELMAN not in models or not gated:
        return []
    base = models[ELMAN].accuracy
    return [
        judge([result.accuracy - base for result in gated]).claim(
            "With as many units, an LSTM and a GRU are more accurate than a tanh RNN",
            "Difference of the test accuracies in percentage points.",
            (f"{result.name} - {ELMAN}" for result in gated),
            POINTS,
        )
    ]


def convolution_claims(models: dict[str, ModelResult]) -> list[Claim]:
    """Claim that the CNN is better than every recurrent network."""
    cells = [result for name, result in models.items() if name not in FEED_FORWARD]
    if CNN not in models or not cells:
        return []
    base = models[CNN].accuracy
    return [
        judge([base - result.accuracy for result in cells]).claim(
            "The CNN is more accurate than recurrent networks with as many parameters",
            "Difference of the test accuracies in percentage points.",
            (f"{CNN} - {result.name}" for result in cells),
            POINTS,
        )
    ]


def gru_claims(models: dict[str, ModelResult]) -> list[Claim]:
    """Claim that the GRU is better than every other cell."""
    others = [
        result for name, result in models.items() if name not in (*FEED_FORWARD, GRU)
    ]
    if GRU not in models or not others:
        return []
    base = models[GRU].accuracy
    return [
        judge([base - result.accuracy for result in others]).claim(
            "The GRU is more accurate than other cells with as many parameters",
            "Difference of the test accuracies in percentage points.",
            (f"{GRU} - {result.name}" for result in others),
            POINTS,
        )
    ]


def findings(results: Sequence[ModelResult], as_published: bool) -> list[str]:
    """Sentences about the numbers."""
    if not any(result.name in ACCURACIES for result in results):
        return []
    if not as_published:
        return [
            "The training is not the authors', so that their numbers, and those of "
            "PyTorch, are no comparison."
        ]
    return [
        "Tolerances are judged by the mean over seeds in the table, and by its 95 % "
        "interval in the claims. Numbers of the README are rounded; those of the "
        "notebook are from one seed. The column PyTorch has the means of 3 or 5 seeds "
        "of the authors' models, and of an LSTM and a tanh RNN in their place, in "
        "PyTorch 2.13.",
    ]


def pool_name(result: ModelResult) -> str:
    """The pool of a result."""
    return result.name.removeprefix("pool ")


def pool_answer(results: Sequence[ModelResult]) -> str:
    """The finding: how much more accurate pools are, and all accuracies."""
    numbers = ", ".join(f"{pool_name(result)} {_percent(result)}" for result in results)
    pools = {pool_name(result): result.accuracy.mean() for result in results}
    gains = [pools[pool] - pools[base] for pool, base in pool_pairs(results)]
    if not gains:
        return f"Accuracy by pool: {numbers}."
    return (
        f"A CNN with pools is {min(gains):.0f} to {max(gains):.0f} points more "
        f"accurate than one without or with strides: {numbers}."
    )


def pool_pairs(results: Sequence[ModelResult]) -> list[tuple[str, str]]:
    """Pairs of a pool, and none or strides, that were trained."""
    there = {pool_name(result) for result in results}
    return [
        (pool, base)
        for pool in ("max", "mean", "l2")
        for base in ("none", "stride")
        if {pool, base} <= there
    ]


def pool_table(results: Sequence[ModelResult]) -> tables.Table:
    """Accuracies and published numbers, one row per pool."""
    header = [
        *("pool", "parameters", "test accuracy, %", "mean [95 % interval]"),
        *("notebook, %", "deviation", "seconds"),
    ]
    return tables.Table(
        header,
        [
            [
                pool_name(result),
                f"{result.parameters:,}",
                tables.mean_and_deviation(result.accuracy, "{:.1f}"),
                interval(result.accuracy).text("{:.1f}"),
                f"{POOLING[pool_name(result)]:.1f}",
                f"{result.accuracy.mean() - POOLING[pool_name(result)]:+.1f}",
                f"{result.seconds:.0f}",
            ]
            for result in results
        ],
    )


def pool_claims(results: Sequence[ModelResult]) -> list[Claim]:
    """Claim that every pool is better than no pool and than strides."""
    pools = {pool_name(result): result.accuracy for result in results}
    pairs = pool_pairs(results)
    if not pairs:
        return []
    return [
        judge([pools[pool] - pools[base] for pool, base in pairs]).claim(
            "Of 1,000 sequences, a CNN learns more with pools than with none or with "
            "strides",
            "Difference of the test accuracies in percentage points.",
            (f"{pool} - {base}" for pool, base in pairs),
            POINTS,
        )
    ]
