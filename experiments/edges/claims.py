"""The claim, the findings and the table on edge kernels."""

from collections.abc import Sequence

from experiments.edges.measure import EDGES, KernelSimilarity, LearnedKernels, cosines
from experiments.harness import tables
from experiments.harness.claims import (
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
)


def finding(similarities: Sequence[KernelSimilarity]) -> str:
    """Whether the learned kernels resemble both edge kernels, Sobel and Prewitt."""
    mean = {result.to: result for result in similarities if result.of == "all"}
    above = min(mean[name].above for name in EDGES)
    seeds = len(similarities[0].after)
    if above == seeds:
        title = "Every network that classifies strokes learns edge kernels"
    elif above:
        title = f"{above} of {seeds} networks that classify strokes learn edge kernels"
    else:
        title = "Networks that classify strokes learn no edge kernels"
    numbers = ", ".join(
        f"{name} {result.after.mean():.2f} (chance {result.median:.2f})"
        for name, result in mean.items()
    )
    return f"{title};\n|cosine| with {numbers}"


ANSWERS = {
    SUPPORTED: "A convolution with Sobel's kernels responds to edges, and every "
    "trained network learns edge kernels.",
    PARTLY_SUPPORTED: "A convolution with Sobel's kernels responds to edges, and some "
    "trained networks learn edge kernels.",
    REFUTED: "A convolution with Sobel's kernels responds to edges, but no trained "
    "network learns edge kernels.",
}


def evaluate_claim(similarities: Sequence[KernelSimilarity]) -> Claim:
    """The claim that all networks learn kernels that resemble edge kernels."""
    cases = [
        Case(
            f"{result.to}, {result.above} of {len(result.after)} seeds",
            f"{result.after.mean():.2f}, chance {result.median:.2f}",
            SUPPORTED
            if result.above == len(result.after)
            else PARTLY_SUPPORTED
            if result.above
            else REFUTED,
        )
        for result in similarities
        if result.of == "all" and result.to in EDGES
    ]
    return claim_of_cases(
        "A network trained on pixels and labels alone learns edge kernels",
        "A seed counts if its kernels are more similar to the edge kernels, in "
        "|cosine|, than 95 % of random kernels.",
        cases,
    )


def summary(learned: LearnedKernels, examples: int) -> list[str]:
    """Findings on the accuracy, and on the direction for which each filter counts."""
    accuracy = tables.mean_and_deviation(100 * learned.accuracy, "{:.1f}")
    direction = cosines(learned.after).max(axis=-2).argmax(axis=-1)
    consistent = (direction == learned.votes) & learned.fires
    return [
        f"Test accuracy: {accuracy} % of {examples} strokes.",
        f"{learned.fires.sum()} of {consistent.size} filters fire on some of them; "
        f"{consistent.sum()} of these predict the direction of the fixed kernel that "
        "they resemble most.",
    ]


def table(similarities: list[KernelSimilarity]) -> tables.Table:
    """|cosine| with the fixed kernels, one row per fixed kernel and kind of mean."""
    header = [
        "|cosine| with",
        "kernels per seed",
        "chance: median",
        "chance: 95 %",
        "before training",
        "after training",
        "seeds above chance's 95 %",
    ]
    rows = [
        [
            result.to,
            result.of,
            f"{result.median:.2f}",
            f"{result.high:.2f}",
            tables.mean_and_deviation(result.before, "{:.2f}"),
            tables.mean_and_deviation(result.after, "{:.2f}"),
            f"{result.above} of {len(result.after)}",
        ]
        for result in similarities
    ]
    return tables.Table(header, rows)
