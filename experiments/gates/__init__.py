"""What do an LSTM's gates do, and how far does its forget gate let the gradient reach?

    python -m experiments.gates --biases=-5,0,3,5

LSTMs learn to tell handwritten digits, read pixel by pixel: one as it is, and others
whose forget gate is clamped at sigmoid(b), whatever they read. By the textbook the
gradient along the cell state then shrinks by sigmoid(b) a step, so that over T steps
sigmoid(b)^T of it is left. That is measured along the cell state alone, and for the
whole gradient, which also takes the way through the recurrent weights.
"""

from experiments.gates.experiment import Config, run

__all__ = ["Config", "run"]
