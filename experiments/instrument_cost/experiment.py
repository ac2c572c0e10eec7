"""The steps of the experiment."""

from experiments.harness import cells
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.instrument_cost import claims, figures, measure
from experiments.instrument_cost.config import Config


def run(config: Config, results: Run) -> None:
    """Time everything, and publish the results."""
    steps = []
    for name in config.cells:
        cell = cells.named(name, config.inputs, config.features)
        step = measure.step_costs(name, cell, config)
        ratios = {"ratio": step.ratio, "alone_ratio": step.alone_ratio}
        results.log(kind="training step", **step._asdict(), **ratios)
        steps.append(step)
    grown = []
    for instrument, features, time in (
        (measure.SPECTRUM, config.spectrum_features, config.spectrum_time),
        (measure.PRODUCT, config.product_features, config.product_time),
    ):
        growth = measure.growth(instrument, features, time)
        for cost in (*growth.by_time, *growth.by_features[:-1]):
            results.log(
                kind="instrument", **cost._asdict(), jacobian_bytes=cost.jacobian_bytes
            )
        results.log(kind="growth", instrument=instrument, **growth.exponents())
        grown.append(growth)
    publish(
        results,
        answer=claims.answer(steps),
        figures=figures.draw(grown),
        tables={
            "A training step": claims.step_table(steps),
            "Instruments of all directions": claims.growth_table(grown),
        },
        claims=claims.evaluate_claims(steps, grown),
        findings=[claims.growth_finding(growth) for growth in grown],
    )
