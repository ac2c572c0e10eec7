"""The authors' recipe in PyTorch: a program that trains one model after another.

It reads task.json and arrays of a folder, and writes answer.json into it.
"""

import json
import pathlib
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

UNITS, TIME, CLASSES = 6, 40, 10
RATE, BATCH = 1e-2, 100
EVERY = 250  # steps between two measurements of the test accuracy
TRIAL = 30  # steps that decide on the number of threads
LAYERS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLS = {
    "max": functional.max_pool1d,
    "mean": functional.avg_pool1d,
    "l2": lambda maps, size: functional.lp_pool1d(maps, 2, size),
}


class Model(nn.Module):
    """One of the authors' models, or a recurrent layer in place of their GRU.

    Args:
        name: "linear", "mlp", "cnn", "elman", "lstm" or "gru"; or a pool.
    """

    def __init__(self, name: str):
        super().__init__()
        self.kind = name
        sizes: list[nn.Module]
        if name in LAYERS:
            self.recurrent = LAYERS[name](
                1, UNITS, batch_first=True, bidirectional=True
            )
            sizes = [nn.Linear(2 * UNITS * TIME, CLASSES)]
        elif name == "linear":
            sizes = [nn.Linear(TIME, CLASSES)]
        elif name == "mlp":
            sizes = [nn.Linear(TIME, 100), nn.Linear(100, 100), nn.Linear(100, CLASSES)]
        elif name == "cnn":
            shapes = (1, 25, 5), (25, 25, 3), (25, 25, 3)
            sizes = [nn.Conv1d(*shape, stride=2, padding=1) for shape in shapes]
            sizes.append(nn.Linear(125, CLASSES))
        else:
            stride = 2 if name == "stride" else 1
            shapes = (1, 20, 3), (20, 20, 3)
            sizes = [nn.Conv1d(*shape, stride=stride, padding=1) for shape in shapes]
            sizes.append(nn.Linear(800 if name == "none" else 200, CLASSES))
        for i, layer in enumerate(sizes):
            self.add_module(f"layer_{i}", layer)
        self.sizes = sizes

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        """Logits of sequences, [batch, time]."""
        *hidden, last = self.sizes
        if self.kind in LAYERS:
            maps = self.recurrent(xs[..., None])[0]
        elif self.kind == "mlp":
            maps = hidden[0](xs).relu()
            maps = maps + hidden[1](maps).relu()
        else:
            maps = xs[:, None]
            for layer in hidden:
                maps = layer(maps).relu()
                if self.kind in POOLS:
                    maps = POOLS[self.kind](maps, 2)
        return last(maps.reshape(len(xs), -1))


def load(model: Model, arrays: dict[str, np.ndarray]) -> None:
    """Give a model the parameters of `conversion.state_dict`."""
    tensors = {name: torch.tensor(array.copy()) for name, array in arrays.items()}
    model.load_state_dict(tensors)


def train(model: Model, data: dict[str, torch.Tensor], steps: int) -> float:
    """Train as the authors do.

    Args:
        model: The model.
        data: Sequences and digits: x and y, and x_test and y_test.
        steps: Number of steps.

    Returns:
        The test accuracy after the last step.
    """
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    losses, accuracies = [], []
    for step in range(steps):
        first = step * BATCH % len(data["x"])
        part = slice(first, first + BATCH)
        loss = functional.cross_entropy(model(data["x"][part]), data["y"][part])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % EVERY == 0 or step == steps - 1:
            with torch.no_grad():
                right = model(data["x_test"]).argmax(-1) == data["y_test"]
            accuracies.append(right.float().mean().item())
    return accuracies[-1]


def fastest(name: str, data: dict[str, torch.Tensor], cores: int) -> int:
    """The number of threads with which some steps take the least time."""
    times = {}
    for threads in sorted({1, cores}):
        torch.set_num_threads(threads)
        model = Model(name)
        train(model, data, TRIAL)
        began = time.perf_counter()
        train(model, data, TRIAL)
        times[threads] = time.perf_counter() - began
    return min(times, key=lambda threads: times[threads])


def main() -> None:
    """Check the loss of every model, and time its training."""
    folder = pathlib.Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    with np.load(folder / "data.npz") as arrays:
        data = {name: torch.tensor(arrays[name]) for name in arrays}
    answer: dict[str, Any] = {}
    for name in task["models"]:
        model = Model(name)
        with np.load(folder / f"{name}.npz") as arrays:
            load(model, dict(arrays))
        first = slice(0, BATCH)
        loss = functional.cross_entropy(model(data["x"][first]), data["y"][first])
        threads = fastest(name, data, task["cores"])
        torch.set_num_threads(threads)
        seconds, accuracies = [], []
        for seed in task["seeds"]:
            torch.manual_seed(seed)
            began = time.perf_counter()
            accuracies.append(train(Model(name), data, task["steps"]))
            seconds.append(time.perf_counter() - began)
        answer[name] = {
            "loss": loss.item(),
            "threads": threads,
            "seconds": seconds,
            "accuracies": accuracies,
        }
    (folder / "answer.json").write_text(json.dumps(answer))
