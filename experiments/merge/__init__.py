"""Join the shards of a study into one run.

    python -m experiments.gradient_flow --results=results/study --shard=0/2
    python -m experiments.gradient_flow --results=results/study --shard=1/2
    python -m experiments.merge results/study

The argument is the folder that the shards share. The merged run has the networks of
all shards, and is measured again as a whole: its rows, figures and claims are those of
a run without --shard. Nothing is trained.
"""

from experiments.merge.config import Config

__all__ = ["Config", "run"]


def run(config):
    """Join the shards; JAX is imported only here, as help does not need it."""
    from experiments.merge import experiment

    experiment.run(config)
