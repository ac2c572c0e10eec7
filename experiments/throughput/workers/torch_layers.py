"""Layers in PyTorch: `torch.nn`, all layers and directions in one call."""

import contextlib
import ctypes
import pathlib
import re
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from experiments.throughput.workers import contenders, jobs, server
from experiments.throughput.workers.jobs import BFLOAT16, FORWARD, HIGHEST, Job
from experiments.throughput.workers.server import Prepared
from nets import interop

TORCH = "torch"
LAYERS = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def main() -> None:
    """Serve; the arguments are the number of threads, and whether a GPU is needed."""
    threads, _, device = sys.argv[1].partition(" ")
    torch.set_num_threads(int(threads))
    if device == "gpu" and not torch.cuda.is_available():
        sys.exit("PyTorch has no GPU")
    # PyTorch joins the weights of a module for cuDNN, but not in bfloat16.
    warnings.filterwarnings("ignore", "RNN module weights are not part of single")
    jax.config.update("jax_platforms", "cpu")  # which converts the parameters
    server.main(prepare)


def prepare(job: Job, names: Sequence[str], threads: int) -> dict[str, Prepared | str]:
    """The module of a job, at its best: time first, not masked.

    Args:
        job: The job.
        names: `TORCH`.
        threads: Ignored: nothing is compiled.

    Returns:
        The contender, or why it is refused.
    """
    if job.cell not in LAYERS:
        return dict.fromkeys(names, f"PyTorch has no {job.cell}")
    try:
        return {name: _prepare(job) for name in names}
    except Exception as error:  # of PyTorch, of any type
        return dict.fromkeys(names, server.one_line(error))


def _prepare(job: Job) -> Prepared:
    """A module that has run once."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = job.precision != HIGHEST
    torch.backends.cuda.matmul.allow_tf32 = job.precision != HIGHEST
    dtype = torch.bfloat16 if job.precision == BFLOAT16 else torch.float32
    weights = jobs.draw_params(job, contenders.EQUATIONS[job.cell]())
    weights = jax.tree.map(jnp.asarray, weights)
    module: Any = LAYERS[job.cell](
        job.inputs,
        job.features,
        num_layers=2 if job.layer == "stacked_lstm" else 1,
        bidirectional=job.layer == "bidirectional_lstm",
    )
    arrays = interop.to_torch(weights)
    module.load_state_dict({k: torch.tensor(np.asarray(a)) for k, a in arrays.items()})
    module = module.to(device, dtype)
    xs = torch.tensor(jobs.draw_inputs(job)).to(device, dtype)
    xs.requires_grad_(job.program != FORWARD)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def run() -> Any:
        if job.program == FORWARD:
            with torch.no_grad():
                return module(xs)[0]
        loss = module(xs)[0].float().square().mean()
        return loss, torch.autograd.grad(loss, [*parameters, xs])

    def wait(results: Any) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def numbers() -> dict[str, np.ndarray]:
        if job.program == FORWARD:
            return {"ys": _first(run())}
        loss, (*by_parameters, by_xs) = run()
        given = dict(zip(names, map(_array, by_parameters), strict=True))
        _, to_ours = jax.vjp(interop.to_torch, weights)
        (gradient,) = to_ours({name: jnp.asarray(given[name]) for name in arrays})
        return jobs.named(gradient) | {"loss": _array(loss), "xs": _first(by_xs)}

    wait(run())
    memory = _cuda_memory if device == "cuda" else _process_memory
    return Prepared(run, wait, numbers, job.cell, float("nan"), memory(run))


def _array(tensor: Any) -> np.ndarray:
    """A tensor as an array."""
    return tensor.detach().float().cpu().numpy()


def _first(tensor: Any) -> np.ndarray:
    """The sequences of a tensor [time, batch, ...] that are compared."""
    return _array(tensor[:, : jobs.SEQUENCES])


def _cuda_memory(run: Any) -> int:
    """Bytes that a step allocates at most."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    results = run()
    torch.cuda.synchronize()
    del results
    return torch.cuda.max_memory_allocated() - before


def _process_memory(run: Any) -> int | None:
    """Growth of the process in a step, at most, in bytes; None if it is not known."""
    status, reset = pathlib.Path("/proc/self/status"), "/proc/self/clear_refs"
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)  # returns what earlier steps have left
        time.sleep(0.01)
        pathlib.Path(reset).write_text("5")  # the peak is the size now
        before = int(re.findall(r"VmRSS:\s*(\d+)", status.read_text())[0])
        results = run()
        peak = int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0])
        del results
        return 1024 * (peak - before)
    return None
