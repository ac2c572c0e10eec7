"""A user's own data: loaded, split, standardized and described."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.harness import cli, common_flags, fitting
from experiments.harness.runs import Run
from train import DataError
from train.data import Dataset, loading
from train.data.splits import split, standardize

MOST_CLASSES = 8  # named in the description


def load(config: Any, **options: Any) -> tuple[Dataset, str]:
    """Load, split and standardize the user's own data.

    Args:
        config: The flags.
        **options: Further arguments of `train.data.load`.

    Returns:
        The data, of which the test part is the set to measure on (by `--evaluate_on`),
        and in random order, so that its first examples are a sample; and a description
        of the data.

    Raises:
        DataError: The data cannot be read, or cannot be split.
    """
    kind, path = config.kind(), config.own()
    data = loading.load(path, kind=kind, **options)
    given = data.x_test is not None
    try:
        data = split(data, config.test_fraction, config.split_seed)
        if config.evaluate_on == common_flags.VALIDATION:
            data = data._replace(x_test=None, y_test=None, lengths_test=None)
            data = split(data, 1 / fitting.VALIDATED, config.split_seed)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    assert data.x_test is not None and data.y_test is not None
    for part, y in (("training", data.y), ("test", data.y_test)):
        if not data.classes and np.ptp(y) == 0:
            raise DataError(
                f"{path}: expected targets that differ in the {part} part; got only "
                f"{y[0]:g}; check the targets"
            )
    text = describe(config, data, given)
    if config.standardize:
        data = standardize(data)
    assert data.y_test is not None
    order = np.random.default_rng(config.split_seed).permutation(len(data.y_test))
    test = ("x_test", "y_test", "lengths_test")
    parts = {name: getattr(data, name) for name in test}
    shuffled = {n: part if part is None else part[order] for n, part in parts.items()}
    return data._replace(**shuffled), text


def describe(config: Any, data: Dataset, given: bool) -> str:
    """Describe the data, and how they were split, in one sentence.

    Args:
        config: The flags.
        data: The split data.
        given: Whether the test part was given, not held out.

    Returns:
        Text such as "waves.npz: 80 training and 20 test sequences of 5 to 9 steps, 1
        feature, 2 classes (a, b); 20 % held out at random, by class
        (--split_seed=0); not standardized".
    """
    files = loading.files(config.own(), config.kind())
    name = files[0].name if len(files) == 1 else " and ".join(f.name for f in files)
    if pathlib.Path(config.own()).is_dir() and len(files) != 2:
        name = pathlib.Path(config.own()).absolute().name
    assert data.y_test is not None
    counts = f"{len(data.y)} training and {len(data.y_test)} test"
    if config.kind() == loading.IMAGES:
        height, width, channels = data.x.shape[1:]
        size = f"images of {height}x{width} pixels, {_count(channels, 'channel')}"
    else:
        size = f"sequences of {steps(data)}, {_count(len(data.features), 'feature')}"
    answers = "real targets"
    if data.classes:
        names = ", ".join(data.classes[:MOST_CLASSES])
        more = ", ..." if len(data.classes) > MOST_CLASSES else ""
        answers = f"{len(data.classes)} classes ({names}{more})"
    how = "test part as given"
    if not given:
        by = "by class, " if data.classes else ""
        how = f"{100 * config.test_fraction:g} % held out at random, {by}"
        how += f"--split_seed={config.split_seed}"
    scaled = "standardized" if config.standardize else "not standardized"
    return f"{name}: {counts} {size}, {answers}; {how}; {scaled}"


def steps(data: Dataset) -> str:
    """Number of steps of the sequences, as text."""
    if data.lengths is None or data.lengths_test is None:
        return _count(data.x.shape[1], "step")
    both = np.append(data.lengths, data.lengths_test)
    return f"{both.min()} to {both.max()} steps"


def _count(number: int, noun: str) -> str:
    """A number and a noun, such as "2 features"."""
    return f"{number} {noun}" + "s" * (number != 1)


def announce(results: Run, text: str, noun: str) -> None:
    """Replace the text below the question by a description of the user's data.

    The text describes built-in data. The first line is the question.

    Args:
        results: The run.
        text: Description of the data, from `describe`.
        noun: Noun for an example, in place of "digit".
    """
    question = results.question.strip().partition("\n")[0]
    question = question.replace("digit", noun)
    results.question = f"{question}\n\nData of one's own (--data): {text}."


def expect_no_flags_of_own_data(config: Any) -> None:
    """Refuse flags that only apply to the user's own data."""
    names = ["test_fraction", "split_seed", "standardize", "label", "task"]
    names += ["image_size"]
    expect_defaults(config, names, "it applies to --data=FILE_OR_FOLDER only; omit it")


def expect_defaults(config: Any, names: Sequence[str], reason: str) -> None:
    """Refuse flags that have no effect.

    Args:
        config: The flags.
        names: Names of flags. The experiment may lack some of them.
        reason: Why the flags have no effect, and what to do.

    Raises:
        cli.UsageError: A flag has another value than its default.
    """
    defaults = type(config)()
    for name in names:
        if getattr(config, name, None) != getattr(defaults, name, None):
            raise cli.UsageError(f"flag --{name}: {reason}")
