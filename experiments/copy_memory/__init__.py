"""Which cells can repeat ten symbols after many blanks?

    python -m experiments.copy_memory --cells=lstm,gru --lengths=30,100
    python -m experiments.copy_memory --lengths=1000 --batch_size=32 --steps=500

The network reads 10 symbols of 8, then T blanks, and repeats the symbols. Without
memory the best loss is 10 ln 8 / (T + 20) nats per step. A cell has solved the task
when its held-out loss is at most a tenth of that. The gradient before training is
measured, too. The second command compares with the published losses at T = 1000.
"""

from experiments.copy_memory.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.copy_memory import experiment

    experiment.run(config, results)
