"""Captions of the figures of gradient_flow: the setting of each measurement."""

from collections.abc import Sequence
from typing import Any

from experiments.gradient_flow.measure import ProbeResult, labels_of_gates
from experiments.harness import cells, probing
from experiments.harness.cells import OWN


def learning(
    probes: Sequence[ProbeResult], config: Any, examples: int, data: Any
) -> dict[str, str]:
    """Captions of the figures of training, by file name."""
    every = f"every {config.probe_every} training steps and after the last step"
    digits = f"{examples} held-out {data.noun}"
    few = f"{min(probing.FEW, examples)} held-out {data.noun}"
    with_gates = labels_of_gates(probes)
    gated = [name for name in config.cells if name in with_gates]
    several = len(config.seeds) > 1
    spread = f"mean and range of {seeds(config)}" if several else "one seed"
    return {
        "learning.png": f"Median over {digits}, {every}; mean of its log over "
        f"{seeds(config)}. Colors span the middle 96 % of the values after the first "
        f"measurement. {setting(config, data)}",
        "gates.png": f"Mean over steps, units and {digits}, {every}; {spread}. "
        f"{setting(config, data, gated)}",
        "lyapunov.png": f"Mean over {few}, {every}. Largest exponent: {spread}; next "
        f"exponents: mean. {setting(config, data)}",
    }


def decays(config: Any, examples: int, data: Any) -> str:
    """Caption of the figure of decay before and after training."""
    return (
        f"Lines: geometric mean over {seeds(config)} of the median over "
        f"{examples} held-out {data.noun}; bands: range of seeds. "
        f"{setting(config, data)}"
    )


def seeds(config: Any) -> str:
    """Number of seeds, as text."""
    count = len(config.seeds)
    return f"{count} seeds" if count > 1 else "one seed"


def setting(config: Any, data: Any, names: Sequence[str] = ()) -> str:
    """Training and initialization of all cells, or of some cells by name."""
    inits = {
        name: cells.initializer_name(name, config.init, data.time)
        for name in names or config.cells
    }
    groups = "; ".join(
        f"{', '.join(name for name in inits if inits[name] == init)}: "
        + ("default" if init == OWN else init)
        for init in dict.fromkeys(inits.values())
    )
    return (
        f"{data.setting}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Initialization: {groups}."
    )
