r"""How do the shards of a study run on a SLURM cluster?

    python -m experiments.submit --shards=8 --results=results/study -- \
        gradient_flow --cells=lstm,gru --seeds=0,1,2,3,4,5,6,7
    python -m experiments.submit --shards=3 --timeout_min=240 \
        --parameters=gpus_per_node=1,slurm_partition=gpu -- gradient_flow --steps=9000

Each of N shards is a job of submitit, and trains every N-th member of the study. A job
that runs out of time, or is preempted, saves its training and is queued again. If the
same command is given again, only the shards that are not complete are submitted.
"""

from experiments.submit.config import Config

__all__ = ["Config", "run"]


def run(config):
    """Submit the shards; nothing is imported before, as help does not need it."""
    from experiments.submit import experiment

    experiment.run(config)
