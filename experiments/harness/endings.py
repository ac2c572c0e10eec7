"""The sentence and the exit code of a run that failed."""

import dataclasses
import pathlib
import re
import sysconfig
import traceback
from typing import Any

import jax

from experiments.harness import process

FAILED, REFUSED = 1, 2  # exit codes
TOO_LARGE = re.compile(
    r"RESOURCE_EXHAUSTED|out of memory|failed to allocate|unable to allocate|"
    r"bad_alloc|array is too big|maximum allowed dimension|maximum supported dimension",
    re.I,
)


def explain(error: BaseException, config: Any) -> tuple[str, int]:
    """A sentence and an exit code for an unexpected exception.

    Args:
        error: The exception.
        config: The flags, a dataclass; None if the flags were not yet read.

    Returns:
        The reason why the run ended, and the exit code: 1, or 2 if the user's
        environment is the reason, or 70 for a mistake of this project.
    """
    text = process.sentence(error)
    if isinstance(error, MemoryError | OverflowError) or (
        isinstance(error, jax.errors.JaxRuntimeError | ValueError | RuntimeError)
        and TOO_LARGE.search(str(error))
    ):
        return f"the run does not fit in memory: {text}; {_less(config)}", FAILED
    if isinstance(error, FloatingPointError):
        return f"the run failed: {text} (JAX_DEBUG_NANS or JAX_DEBUG_INFS)", FAILED
    promotion = jax.config.values["jax_numpy_dtype_promotion"]
    if isinstance(error, jax.dtypes.TypePromotionError) and promotion == "strict":
        return (
            "JAX_NUMPY_DTYPE_PROMOTION=strict is more than this experiment keeps to: "
            f"{text}; unset it"
        ), REFUSED
    if own := _own_code(error):
        return f"your own code failed, in {own}: {text}", FAILED
    if isinstance(error, jax.errors.JaxRuntimeError):
        return f"the run failed in XLA: {text}{_around()}", FAILED
    return f"a fault of backflow, please report it: {text}{_around()}", process.FAULT


def _less(config: Any) -> str:
    """The flag that most likely asks for too much: the one most above its default.

    Example:
        >>> @dataclasses.dataclass
        ... class Config:
        ...     features: int = 64
        ...     widths: list = dataclasses.field(default_factory=lambda: [8])
        >>> _less(Config(features=128, widths=[8, 800]))
        'a smaller --widths (now 8,800) may help'
    """
    if config is None:
        return "close other programs, and try again"
    factors = {}
    for field in dataclasses.fields(config):
        now, usual = (
            value if isinstance(value, list) else [value]
            for value in (
                getattr(config, field.name),
                getattr(type(config)(), field.name),
            )
        )
        if (
            all(type(value) is int for value in [*now, *usual])
            and field.name != "seeds"
        ):
            factors[field.name] = sum(now) / max(sum(usual), 1)
        elif field.name == "seeds":
            factors[field.name] = len(now) / max(len(usual), 1)
    most = max(factors, key=lambda name: factors[name], default=None)
    if most is None or factors[most] <= 1:
        return "take fewer or smaller networks, or shorter data"
    value = getattr(config, most)
    shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"a smaller --{most} (now {shown}) may help"


def _around() -> str:
    """Variables of the environment that may be the reason."""
    text = process.variables()
    return f" (with {text})" if text else ""


def _own_code(error: BaseException) -> str | None:
    """Place in the user's code, if that code failed and not this project."""
    roots = [process.ROOT / name for name in ("nets", "train", "experiments")]
    paths = sysconfig.get_paths()
    others = [pathlib.Path(paths[name]) for name in ("stdlib", "purelib", "platlib")]
    others.append(pathlib.Path(jax.__file__).parent.parent)
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = pathlib.Path(frame.f_code.co_filename)
        if any(file.is_relative_to(root) for root in roots):
            place = None
        elif file.exists() and not any(file.is_relative_to(root) for root in others):
            place = f"{file}:{line}"
    return place
