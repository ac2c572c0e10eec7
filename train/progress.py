"""The progress bar of `train.fit`, on standard error if that is a terminal."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float
from tqdm import tqdm

from train.step import Metrics

# What a narrow terminal cuts off, the steps per second, is last.
FORMAT = "{desc}|{bar}| {n_fmt}/{total_fmt} [{remaining} left{postfix}, {rate_fmt}]"
NUMBERS = 70  # characters of the steps, the time left, the loss, the norm and the rate


def bar(first: int, last: int, desc: str) -> tqdm:
    """A bar that shows the steps that are done, and the time that is left.

    Args:
        first: Number of steps taken before.
        last: Number of steps after the last.
        desc: Text before the bar.

    Returns:
        A bar, which is disabled if standard error is not a terminal.
    """
    return tqdm(
        total=last,
        initial=first,
        desc=shortened(desc, shutil.get_terminal_size().columns),
        unit="step",
        bar_format=FORMAT,
        disable=None,
    )


def shortened(desc: str, columns: int) -> str:
    """The text before the bar, cut so that the numbers fit into a terminal.

    Args:
        desc: The text.
        columns: Width of the terminal.

    Returns:
        The text and a colon; "" if there is no text.

    Example:
        >>> shortened("lstm", 80), shortened("digits, layer_norm_lstm", 80)
        ('lstm: ', 'digits..: ')
    """
    room = max(columns - NUMBERS - 2, 8)
    if len(desc) > room:
        desc = f"{desc[: room - 2]}.."
    return f"{desc}: " if desc else ""


def rates(
    learning_rate: optax.ScalarOrSchedule | None, first: int, last: int
) -> Float[np.ndarray, " steps"]:
    """The learning rate of each step.

    Args:
        learning_rate: A number, or a schedule; None if it is not known.
        first: Number of steps taken before.
        last: Number of steps after the last.

    Returns:
        One rate per step, [last - first]; nan if it is not known.

    Example:
        >>> rates(0.1, 0, 2).tolist(), rates(lambda step: 2.0 * step, 3, 5).tolist()
        ([0.1, 0.1], [6.0, 8.0])
    """
    if callable(learning_rate):
        return np.asarray(jax.vmap(learning_rate)(jnp.arange(first, last)), float)
    rate = np.nan if learning_rate is None else learning_rate
    return np.full(last - first, rate, float)


def advance(bar: tqdm, metrics: Metrics, rates: Float[np.ndarray, " steps"]) -> None:
    """Show that steps were taken.

    Args:
        bar: The bar.
        metrics: Metrics of the steps, arrays [steps, seeds].
        rates: Learning rate of each step.
    """
    if not bar.disable:
        loss, norm = map(np.asarray, metrics)
        bar.set_postfix_str(text(loss, norm, float(rates[-1])), refresh=False)
    bar.update(len(rates))


def text(
    loss: Float[np.ndarray, "steps seeds"],
    norm: Float[np.ndarray, "steps seeds"],
    rate: float,
) -> str:
    """The numbers after the bar.

    Args:
        loss: Losses of the latest steps.
        norm: Norms of their gradients.
        rate: Learning rate of the last of the steps; nan if it is not known.

    Returns:
        The means of the loss and of the norm over the steps and over the seeds that
        did not diverge, and the rate if it is known.

    Example:
        >>> text(np.array([[1.0, 2.0]]), np.array([[0.5, np.nan]]), 0.003)
        'loss=1.5, |grad|=0.5, rate=0.003'
    """
    words = [f"loss={_mean(loss):.3g}", f"|grad|={_mean(norm):.3g}"]
    return ", ".join(words if np.isnan(rate) else [*words, f"rate={rate:.2g}"])


def _mean(values: np.ndarray) -> float:
    """The mean of the finite values; nan if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
