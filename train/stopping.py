"""Evaluations during training, the best parameters, and early stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Float

from train import members, program
from train.averaging import averaged
from train.result import Best, FitResult, Scores
from train.step import Params, TrainState


class Evaluations:
    """The evaluations of a training, with the best parameters so far.

    Attributes:
        scores: All evaluations; None before the first.
    """

    def __init__(
        self,
        evaluate_fn: Callable[[Params], Any],
        state: TrainState,
        earlier: FitResult | None,
        count: int,
        mesh: Mesh | None,
    ):
        """Begin, or continue those of an earlier training.

        Args:
            evaluate_fn: As in `train.fit`.
            state: State of all members, on their devices.
            earlier: Result to continue from.
            count: Number of members, without those that fill the devices.
            mesh: As in `train.fit`.
        """
        self.scores = earlier.scores if earlier else None
        self._count, self._mesh = count, mesh
        per_member = members.PER_MEMBER
        self._evaluate = program.jitted(
            _evaluation(evaluate_fn), mesh, (per_member,) * 4, (per_member,) * 2
        )
        if earlier is None or earlier.best is None:
            zeros = np.zeros(count, int)
            best = Best(zeros, np.full(count, np.inf), _evaluated(state))
        else:
            best = earlier.best
            extra = members.missing(count, mesh)
            params = members.repeat_last(best.params, extra)
            best = best._replace(params=members.put(params, mesh, per_member))
        self._best = best

    def add(self, of: members.Members, step: int) -> None:
        """Evaluate all members; those that do not train keep their last result.

        Args:
            of: The members.
            step: Number of steps taken.
        """
        before = self.scores or Scores(np.zeros(0, int), np.zeros((0, self._count)))
        last = before.values[-1] if len(before.steps) else np.full(self._count, np.nan)
        latest, score = (
            members.repeat_last(
                np.asarray(values, np.float32), len(of.training) - self._count
            )
            for values in (last, self._best.score)
        )
        latest, score = members.put((latest, score), self._mesh, members.PER_MEMBER)
        values, params = self._evaluate(of, latest, score, self._best.params)
        values = members.fetch(values)[: self._count]
        better = values < self._best.score
        self._best = Best(
            np.where(better, step, self._best.step),
            np.where(better, values, self._best.score),
            params,
        )
        rows = [*before.values, values]
        self.scores = Scores(np.append(before.steps, step), np.stack(rows))

    @property
    def best(self) -> Best:
        """The best evaluation of every member."""
        params = members.first(self._best.params, self._count, self._mesh)
        return self._best._replace(params=params)


def _evaluated(state: TrainState) -> Params:
    """The parameters that are evaluated: their average, if the optimizer keeps one."""
    average = averaged(state.opt_state)
    return state.params if average is None else average


def _evaluation(evaluate_fn: Callable[[Params], Any]) -> Callable[..., Any]:
    """Function of all members that returns their scores, and the better parameters."""

    def evaluate_one(member):
        params, training, latest = member
        score = jax.eval_shape(evaluate_fn, params)
        return jax.lax.cond(
            training | jnp.isnan(latest),
            evaluate_fn,
            lambda params: latest.astype(score.dtype).reshape(score.shape),
            params,
        )

    def evaluate(of, latest, best_scores, best_params):
        params = _evaluated(of.state)
        scores = jax.lax.map(evaluate_one, (params, of.training, latest))

        def better(new, old):
            shape = (-1, *[1] * (new.ndim - 1))
            return jnp.where((scores < best_scores).reshape(shape), new, old)

        return scores, jax.tree.map(better, params, best_params)

    return evaluate


def stalled(
    values: Float[np.ndarray, "evaluations members"], patience: int
) -> Bool[np.ndarray, " members"]:
    """Whether the last evaluations of each member were no better than one before.

    Args:
        values: Results of all evaluations.
        patience: Number of the last evaluations.

    Returns:
        True for members that stop early.

    Example:
        >>> stalled(np.array([[3.0, 3.0], [2.0, 4.0], [1.0, 3.0]]), 2).tolist()
        [False, True]
    """
    values = np.where(np.isnan(values), np.inf, values)
    return len(values) - 1 - values.argmin(axis=0) >= patience
