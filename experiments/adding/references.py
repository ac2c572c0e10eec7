"""Earlier numbers of the adding problem.

They were measured with PyTorch, before this experiment was written, and evaluated every
250 steps: no publication has the steps to solve this form of the task in a small
setting. The initialization of the tanh RNN was not recorded.
"""

from experiments.harness.long_memory.claims import LOSS, STANDARD, Reference
from experiments.harness.published import Published

EARLIER = "earlier, PyTorch, unpublished"


def _steps(length: int, cell: str, init: str, name: str, steps: int) -> Reference:
    """Steps to solve; the tolerance is half of them."""
    setting = f"adding, T = {length}, {name}: steps to solve"
    return Reference(length, cell, init, Published(setting, steps, EARLIER, steps / 2))


REFERENCES = (
    Reference(
        100,
        "elman",
        "orthogonal",
        Published(
            "adding, T = 100, tanh RNN: MSE after 4,000 steps", 0.1685, EARLIER, 0.005
        ),
        LOSS,
        {**STANDARD, "steps": 4000},
    ),
    _steps(100, "irnn", "irnn", "IRNN", 1250),
    _steps(100, "lstm", "orthogonal", "LSTM, forget bias 1", 1500),
    _steps(100, "gru", "orthogonal", "GRU", 750),
    _steps(200, "lstm", "orthogonal", "LSTM, forget bias 1", 2500),
    _steps(200, "lstm", "chrono", "LSTM, chrono", 1750),
    _steps(200, "gru", "orthogonal", "GRU", 1250),
)
