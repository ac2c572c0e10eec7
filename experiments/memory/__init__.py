"""How much memory does back-propagation through time need, with and without remat?

    python -m experiments.memory --cells=lstm --max_steps=16384
    python -m experiments.memory --cells=gru,lru --max_steps=4096

The gradient of a loss on the last state is compiled, but not run, for increasing
numbers of steps. XLA reports the bytes that it allocates in addition to parameters and
inputs. Without remat every step is stored, and memory grows linearly with time. With
`nets.unroll(remat=True)` only every sqrt(time)-th state is stored, and memory grows as
the square root of time.
"""

from experiments.memory.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.memory import experiment

    experiment.run(config, results)
