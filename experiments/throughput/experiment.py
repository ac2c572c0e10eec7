"""The steps of the experiment."""

from experiments.harness.runs import Run
from experiments.throughput.config import Config, complete


def run(config: Config, results: Run) -> None:
    """Time what the flags ask for, and publish the results."""
    from experiments.throughput.cost import experiment as cost
    from experiments.throughput.gpu import experiment as gpu
    from experiments.throughput.layers import experiment as layers
    from experiments.throughput.parallel import experiment as parallel
    from experiments.throughput.study import experiment as study

    parts = {
        "study": study,
        "layers": layers,
        "gpu": gpu,
        "cost": cost,
        "parallel": parallel,
    }
    parts[config.what].run(complete(config), results)
