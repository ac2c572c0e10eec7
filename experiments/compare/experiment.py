"""The steps of the experiment."""

import pathlib
from collections.abc import Sequence

from experiments.compare import captions, claims, figures, measure, records
from experiments.compare.claims import Difference
from experiments.compare.config import Config
from experiments.compare.measure import Metric
from experiments.compare.records import RunRecord
from experiments.harness import cli
from experiments.harness.plotting import Plot
from experiments.harness.report import publish
from experiments.harness.runs import Run

INTERVALS = (
    "Numbers in square brackets are 95 % confidence intervals over seeds. A difference "
    "is supported if its interval excludes zero. If a metric has several differences "
    "and not all are supported, their intervals are simultaneous (Bonferroni); they "
    "are not corrected for the number of metrics."
)


def run(config: Config, results: Run) -> None:
    """Compare the runs, and publish the results."""
    runs = load(config.runs)
    metrics = measure.metrics(runs)
    check(runs, metrics)
    differences = claims.differences(metrics, len(runs))
    for metric in metrics:
        for i, values in enumerate(metric.by_run):
            for seed, value in values.items():
                row = {"metric": metric.name, "case": metric.case, "value": value}
                results.log(kind="value", run=runs[i].folder, seed=seed, **row)
    for difference in differences:
        results.log(
            kind="difference",
            run=runs[difference.run].folder,
            metric=difference.metric.name,
            case=difference.metric.case,
            **difference.interval._asdict(),
            outcome=difference.outcome,
        )
    show(runs, metrics, differences, results)


def load(folders: Sequence[str]) -> list[RunRecord]:
    """Open the runs.

    Raises:
        cli.UsageError: There are fewer than two, a folder is given twice, or the
            experiments differ.
        ResultsError: A folder is not that of a complete run.
    """
    if len(folders) < 2:
        raise cli.UsageError(
            f"expected the folders of two runs or more; got {len(folders)}"
        )
    places = [pathlib.Path(folder).resolve() for folder in folders]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise cli.UsageError(
                f"expected different runs; {folders[i]} is given twice"
            )
    runs = records.read(folders)
    experiments = [run.metadata["experiment"] for run in runs]
    for folder, experiment in zip(folders, experiments, strict=True):
        if experiment != experiments[0]:
            raise cli.UsageError(
                f"expected runs of one experiment; {folders[0]} is a run of "
                f"{experiments[0]}, {folder} one of {experiment}"
            )
    return runs


def check(runs: Sequence[RunRecord], metrics: Sequence[Metric]) -> None:
    """Refuse runs that have no metric in common.

    Raises:
        cli.UsageError: A run has no metric that the first run has.
    """
    if not metrics:
        raise cli.UsageError(
            f"{runs[0].metadata['experiment']} logs no metric for each seed; expected "
            "runs of an experiment that does"
        )
    for i in range(1, len(runs)):
        if not any(metric.by_run[0] and metric.by_run[i] for metric in metrics):
            labels = [
                next((m.label for m in metrics if m.by_run[run]), "no metric")
                for run in (0, i)
            ]
            raise cli.UsageError(
                f"{runs[0].folder} and {runs[i].folder} have no metric in common; the "
                f"first has {labels[0]}, the other {labels[1]}"
            )


def show(
    runs: Sequence[RunRecord],
    metrics: Sequence[Metric],
    differences: Sequence[Difference],
    results: Run,
) -> None:
    """Publish the results."""
    title = "Flags that differ, metrics and differences"
    publish(
        results,
        answer=claims.answer(differences, runs),
        figures=draw(runs),
        tables={title: claims.table(runs, metrics, differences)},
        claims=claims.evaluate_claims(differences, runs),
        findings=[*captions.remarks(runs, metrics), INTERVALS],
    )


def draw(runs: Sequence[RunRecord]) -> dict[str, Plot]:
    """The figures of the curves that several runs have."""
    loss = measure.learning_curves(runs, "loss")
    norm = measure.learning_curves(runs, "gradient_norm")
    profiles = measure.profiles(runs)
    text, step, time = captions.caption(runs), "training step", "time step"
    names = [run.name for run in runs]
    plots = {
        "loss.png": figures.draw("Loss in training", loss, names, (step, "loss"), text),
        "gradient_norm.png": figures.draw(
            "Norm of the gradient in training", norm, names, (step, "norm"), text
        ),
        "gradient_over_time.png": figures.draw(
            "Norm of the gradient over time, at the end",
            profiles,
            names,
            (time, "log10 |dL/ds|"),
            text,
            log=False,
        ),
    }
    return {file: plot for file, plot in plots.items() if plot is not None}
