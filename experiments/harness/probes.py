"""The probes that the flag `--probes` names."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from experiments.harness import cli
from experiments.harness.padding import arguments
from experiments.harness.probing import Sequences, gates, lyapunov, state_gradients
from nets.models import SequenceClassifier

NONE = "none"
PROBES = {"state_gradients": state_gradients, "gates": gates, "lyapunov": lyapunov}


def chosen(names: Sequence[str]) -> list[str]:
    """The probes that the flag `--probes` names.

    Args:
        names: Keys of `PROBES`, or "none" alone.

    Returns:
        The keys.

    Raises:
        cli.UsageError: A name is unknown.

    Example:
        >>> chosen(["none"]), chosen(["gates"])
        ([], ['gates'])
    """
    if list(names) == [NONE]:
        return []
    for name in names:
        if name not in PROBES:
            raise cli.UsageError(
                f"flag --probes: expected some of {', '.join(PROBES)}, or none; got "
                f"{name!r}"
            )
    return list(names)


def make(
    names: Sequence[str], model: SequenceClassifier, data: Sequences, cell: str
) -> Callable[[Any], dict[str, Any]]:
    """A probe for `train.fit` that runs several instruments.

    Args:
        names: Keys of `PROBES`.
        model: A `SequenceClassifier`.
        data: Held-out sequences and their labels.
        cell: Name of the cell, for error messages.

    Returns:
        A function from the parameters of one seed to results by name and direction.

    Raises:
        cli.UsageError: An instrument cannot measure the cell.
    """
    inputs = arguments(data[0])
    params = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    for name in names:
        try:
            jax.eval_shape(lambda p, name=name: PROBES[name](model, p, data), params)
        except Exception as error:  # of any type, from the user's cell
            sentence = " ".join(str(error).split())
            raise cli.UsageError(
                f"flag --probes: {name} cannot measure cell {cell!r}: "
                f"{type(error).__name__}: {sentence}"
            ) from error
    return lambda params: {name: PROBES[name](model, params, data) for name in names}
