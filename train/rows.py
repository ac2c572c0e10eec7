"""The numbers of training that `train.fit` logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import ArrayLike, Bool, Float

from train.calls import Call
from train.finite import settings_of


def finite_steps(call: Call) -> int:
    """Number of steps of a call before the first that is not finite in some member.

    Args:
        call: The call.

    Returns:
        A number from 0 to the number of its steps.
    """
    finite = call.finite.all(axis=1)
    return call.steps if finite.all() else int(finite.argmin())


def log(
    log_fn: Callable[..., Any] | None,
    call: Call,
    count: int,
    training: Bool[np.ndarray, " members"],
    seeds: Sequence[int],
    settings: Mapping[str, ArrayLike],
    rates: Float[np.ndarray, " steps"],
) -> None:
    """Log the first steps of a call, one row per member.

    Args:
        log_fn: As in `train.fit`.
        call: The call.
        count: Number of steps.
        training: False for members that did not train before the call.
        seeds: As in `train.fit`.
        settings: Hyperparameters of the members.
        rates: Learning rate of each step of the call.
    """
    if log_fn is None or not count:
        return
    rate = float(rates[count - 1])
    known = {} if np.isnan(rate) else {"learning_rate": rate}
    for i in np.flatnonzero(training).tolist():
        loss, norm = (
            _mean(np.asarray(m)[:count, i], call.finite[:count, i])
            for m in call.metrics
        )
        log_fn(
            seed=seeds[i],
            step=call.start + count,
            loss=loss,
            gradient_norm=norm,
            **{**known, **settings_of(i, settings)},
        )


def _mean(values: np.ndarray, finite: np.ndarray) -> float:
    """The mean over the finite steps that were taken; nan if there is none."""
    taken = finite & ~np.isnan(values)
    return float(values[taken].mean()) if taken.any() else float("nan")


def log_probes(log_probe_fn: Callable[[int, Any], Any] | None, call: Call) -> None:
    """Log the values of every probe of a call.

    Args:
        log_probe_fn: As in `train.fit`.
        call: The call.
    """
    if log_probe_fn is None or call.values is None:
        return
    for i, step in enumerate(call.probed.tolist()):
        log_probe_fn(step, jax.tree.map(lambda v, i=i: v[i], call.values))
