"""Remarks on a comparison."""

from collections.abc import Sequence

from experiments.compare.measure import Metric
from experiments.compare.records import RunRecord, changed_flags

LISTED = 3  # missing metrics
# Flags that change what a metric is measured on.
DATA = (
    *("data", "data_dir", "text_file", "evaluate_on", "task", "tasks", "standardize"),
    *("order", "length", "examples", "held_out"),
)


def caption(runs: Sequence[RunRecord]) -> str:
    """The runs in words, for figures.

    Args:
        runs: The runs.

    Returns:
        Text such as "narrow: --features=32. wide: --features=64."
    """
    flags = changed_flags(runs)
    words = [
        " ".join(f"--{flag}={texts[i]}" for flag, texts in flags.items()) or run.folder
        for i, run in enumerate(runs)
    ]
    return " ".join(
        f"{run.name}: {text}." for run, text in zip(runs, words, strict=True)
    )


def remarks(runs: Sequence[RunRecord], metrics: Sequence[Metric]) -> list[str]:
    """Limits of the comparison: code, data, devices, seeds, and missing metrics.

    Args:
        runs: The runs.
        metrics: The metrics.

    Returns:
        Sentences.
    """
    return [
        *_code(runs),
        *(
            f"The runs differ in what they measure: --{flag} is {_each(runs, texts)}."
            for flag, texts in changed_flags(runs).items()
            if flag in DATA
        ),
        *_pairing(runs, metrics),
        *_missing(runs, metrics),
    ]


def _each(runs: Sequence[RunRecord], texts: Sequence[str]) -> str:
    """One text per run, after its name."""
    named = zip(runs, texts, strict=True)
    return ", ".join(f"{text or 'empty'} in {run.name}" for run, text in named)


def _code(runs: Sequence[RunRecord]) -> list[str]:
    """Sentences on different code and devices."""
    sentences = []
    for name in ("commit", "device"):
        texts = [str(run.metadata.get(name) or "unknown") for run in runs]
        if len(set(texts)) > 1:
            sentences.append(f"The {name} differs: {_each(runs, texts)}.")
        elif name == "commit" and texts[0].endswith("-dirty"):
            sentences.append("The code had changes that were not committed.")
    versions = [run.metadata.get("versions", {}) for run in runs]
    for package in dict.fromkeys(name for some in versions for name in some):
        texts = [str(some.get(package, "absent")) for some in versions]
        if len(set(texts)) > 1:
            sentences.append(f"The version of {package} differs: {_each(runs, texts)}.")
    return sentences


def _pairing(runs: Sequence[RunRecord], metrics: Sequence[Metric]) -> list[str]:
    """One sentence per later run on the seeds by which it is compared."""
    sentences = []
    for i in range(1, len(runs)):
        shared = [m for m in metrics if m.by_run[0] and m.by_run[i]]
        names = f"{runs[i].name} and {runs[0].name}"
        seeds = shared[0].common_seeds(i)
        if seeds:
            listed = ", ".join(map(str, seeds))
            alone = "; one seed has no interval" if len(seeds) == 1 else ""
            sentences.append(f"{names} are compared seed by seed: {listed}{alone}.")
        else:
            sentences.append(
                f"{names} share fewer than two seeds: their means are compared by "
                "Welch's interval."
            )
    return sentences


def _missing(runs: Sequence[RunRecord], metrics: Sequence[Metric]) -> list[str]:
    """A sentence on metrics that not all runs have."""
    missing = [m.label for m in metrics if not all(m.by_run)]
    if not missing:
        return []
    more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
    return [f"Not measured in every run: {', '.join(missing[:LISTED])}{more}."]
