"""How do the shards of a study become one run?

    python -m experiments.merge results/study
    python -m experiments.merge results/study --results=results/whole

The argument is the folder that the shards share: the value of --results of the commands
with --shard. The merged run has the networks of all shards, and is measured again as a
whole: its rows, figures and claims are those of a run without --shard. Nothing is
trained.
"""

from experiments.merge.config import Config

__all__ = ["Config", "run"]


def run(config):
    """Join the shards; JAX is imported only here, as help does not need it."""
    from experiments.merge import experiment

    experiment.run(config)
