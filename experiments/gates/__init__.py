"""What do an LSTM's gates do, and how far does its forget gate let the gradient reach?

    python -m experiments.gates --biases=-5,0,3,5
    python -m experiments.gates --order=rows --features=16 --seeds=0,1

LSTMs learn to classify handwritten digits that they read pixel by pixel. One is a plain
LSTM. In the other LSTMs the forget gate is clamped at sigmoid(b) for any input. By the
textbook, the gradient along the cell state then shrinks by sigmoid(b) per step, so that
sigmoid(b)^T remains after T steps. The experiment measures this along the cell state
alone, and for the whole gradient, which also flows through the recurrent weights.
"""

from experiments.gates.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.gates import experiment

    experiment.run(config, results)
