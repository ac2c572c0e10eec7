"""The experiment: its flags and its steps."""

from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from experiments.harness import cli
from experiments.harness.networks import Network
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.saved import SavedRun, open_run
from experiments.inspect import claims, figures
from experiments.inspect.config import FEW, Config
from experiments.inspect.measure import INSTRUMENTS, Curve, measure


def run(config: Config, results: Run) -> None:
    """Measure every network with every instrument, and publish the results."""
    for name in config.instruments:
        if name not in INSTRUMENTS:
            raise cli.UsageError(
                f"flag --instruments: expected some of {', '.join(INSTRUMENTS)}; got "
                f"{name!r}"
            )
    saved = open_run(config.run)
    chosen = networks(saved, config)
    # All parameters are read before anything is measured.
    params = {name: saved.params(name, step=config.step or None) for name in chosen}
    scores = {}
    for name, network in chosen.items():
        scores[name] = np.asarray(jax.lax.map(network.score, params[name]))
        for seed, score in zip(saved.seeds(name), scores[name], strict=True):
            results.log(kind="score", network=name, seed=seed, score=score)
    curves, refused = measure_all(chosen, params, config)
    if not any(curves.values()):
        raise cli.UsageError(refused[0])
    for name, of_instrument in curves.items():
        log(name, of_instrument, saved, results)
    steps = {name: config.step or saved.steps(name)[-1] for name in chosen}
    show(curves, refused, claims.scores(scores, steps), saved, config, results)


def networks(saved: SavedRun, config: Config) -> dict[str, Network]:
    """The networks to measure, by name.

    Raises:
        UsageError: A name is unknown, or there is no network to measure.
    """
    recurrent = {
        name: network
        for name, network in saved.networks.items()
        if network.recurrent is not None and name in saved.names
    }
    if not recurrent:
        raise cli.UsageError(
            f"run {saved.folder} of {saved.experiment or 'an unknown experiment'} has "
            "kept no network with a recurrent layer, which the instruments measure"
        )
    names = [name.strip() for name in config.networks.split(";") if name.strip()]
    for name in names:
        if name not in recurrent:
            raise cli.UsageError(
                f"flag --networks: expected some of {'; '.join(recurrent)}; got "
                f"{name!r}"
            )
    return {name: recurrent[name] for name in names or recurrent}


def measure_all(
    chosen: dict[str, Network], params: dict[str, Any], config: Config
) -> tuple[dict[str, list[Curve]], list[str]]:
    """Curves by instrument, and one sentence per instrument that cannot measure."""
    curves: dict[str, list[Curve]] = {name: [] for name in config.instruments}
    refused = []
    with tqdm(total=len(curves) * len(chosen), unit="network", disable=None) as bar:
        for instrument in config.instruments:
            for name, network in chosen.items():
                bar.set_description(f"{instrument}, {name}")
                try:
                    values_by_part = measure(
                        INSTRUMENTS[instrument], network, params[name], config.examples
                    )
                except ValueError as error:
                    why = " ".join(str(error).split())
                    refused.append(f"{instrument} cannot measure {name!r}: {why}")
                else:
                    curves[instrument] += [
                        Curve(name, *key, values)
                        for key, values in values_by_part.items()
                    ]
                bar.update()
    return curves, refused


def log(name: str, curves: list[Curve], saved: SavedRun, results: Run) -> None:
    """Log one row per curve and seed."""
    for curve in curves:
        numbers = INSTRUMENTS[name].summarize(curve.values)
        for seed, number, values in zip(
            saved.seeds(curve.network), numbers, curve.values, strict=True
        ):
            results.log(
                kind=name,
                network=curve.network,
                cell=curve.cell,
                part=curve.part,
                seed=seed,
                number=number,
                values=values,
            )


def show(
    curves: dict[str, list[Curve]],
    refused: list[str],
    scores: Any,
    saved: SavedRun,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    measured = {name: drawn for name, drawn in curves.items() if drawn}
    text = (
        f"Networks of the run {saved.folder} of {saved.experiment}, on "
        f"{config.examples} held-out sequences ({FEW} for Lyapunov exponents and "
        "lags). Lines: means over seeds; bands: their range."
    )
    plots = {
        f"{name}.png": figures.draw(name, drawn, text)
        for name, drawn in measured.items()
    }
    first = next(iter(plots.values()))
    publish(
        results,
        answer=first.finding,
        figures=plots,
        tables={
            "Networks": scores,
            **{INSTRUMENTS[n].title: claims.table(n, c) for n, c in measured.items()},
        },
        findings=[f"{sentence}." for sentence in refused],
    )
