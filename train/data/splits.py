"""Split a data set into training and test part, and standardize it."""

import numpy as np

from train.data.dataset import Dataset
from train.data.errors import DataError


def split(data: Dataset, fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Hold out a part of the examples, at random, if the data have no test part.

    The same fraction of each class is held out, rounded, at least one example. If the
    targets are real, a fraction of all examples is held out.

    Args:
        data: A `Dataset`.
        fraction: Share of the test part, above 0 and below 1.
        seed: Seed of the random numbers.

    Returns:
        The data with a test part; unchanged if they have one. Examples of both parts
        are in the order of the file.

    Raises:
        ValueError: The fraction is out of range.
        DataError: A class has one example only, or there is one example in all.

    Example:
        >>> x = np.zeros((10, 3, 1), np.float32)
        >>> y = np.arange(10, dtype=np.int32) % 2
        >>> data = Dataset(x, y, None, None, None, None, ("a", "b"), ("0",))
        >>> data = split(data, fraction=0.4)
        >>> len(data.y), sorted(data.y_test.tolist())
        (6, [0, 0, 1, 1])
    """
    if not 0 < fraction < 1:
        raise ValueError(f"expected a fraction above 0 and below 1; got {fraction}")
    if data.x_test is not None:
        return data
    rng = np.random.default_rng(seed)
    groups = [np.arange(len(data.y))]
    if data.classes:
        groups = [np.flatnonzero(data.y == i) for i in range(len(data.classes))]
    held_out = []
    for i, group in enumerate(groups):
        if len(group) < 2:
            of = f" of class {data.classes[i]!r}" if data.classes else ""
            raise DataError(
                f"expected at least 2 examples{of}, one to train on and one to test "
                f"on; got {len(group)}; add examples, or give a test part"
            )
        count = min(max(round(fraction * len(group)), 1), len(group) - 1)
        held_out.append(rng.permutation(group)[:count])
    tests = np.zeros(len(data.y), bool)
    tests[np.concatenate(held_out)] = True
    lengths, lengths_test = None, None
    if data.lengths is not None:
        lengths, lengths_test = data.lengths[~tests], data.lengths[tests]
    return data._replace(
        x=data.x[~tests],
        y=data.y[~tests],
        lengths=lengths,
        x_test=data.x[tests],
        y_test=data.y[tests],
        lengths_test=lengths_test,
    )


def standardize(data: Dataset) -> Dataset:
    """Give every feature mean 0 and standard deviation 1 in the training part.

        x' = (x - mean) / deviation

    Mean and deviation are computed from the training part, over its examples and steps
    (or pixels), without padding, which stays zero. The test part is transformed by the
    same numbers. A constant feature is only centered. Real targets are standardized
    too.

    Args:
        data: A `Dataset`.

    Returns:
        The standardized data; `scale` is the deviation of the targets.

    Example:
        >>> x = np.array([[[1.0], [3.0]], [[1.0], [3.0]]], np.float32)
        >>> y = np.array([0, 1], np.int32)
        >>> data = Dataset(x, y, None, x + 1, y, None, ("a", "b"), ("0",))
        >>> data = standardize(data)
        >>> data.x[0, :, 0].tolist(), data.x_test[0, :, 0].tolist()
        ([-1.0, 1.0], [0.0, 2.0])
    """
    real = _real_steps(data.x, data.lengths)
    values = data.x[real] if data.lengths is not None else data.x
    values = values.reshape(-1, data.x.shape[-1]).astype(np.float64)
    mean, deviation = _mean_and_deviation(values)

    def transformed(x, lengths):
        if x is None:
            return None
        scaled = ((x - mean) / deviation).astype(np.float32)
        if lengths is None:
            return scaled
        return np.where(_real_steps(x, lengths)[..., None], scaled, np.float32(0))

    data = data._replace(
        x=transformed(data.x, data.lengths),
        x_test=transformed(data.x_test, data.lengths_test),
    )
    if data.classes:
        return data
    center, scale = _mean_and_deviation(data.y.astype(np.float64))
    y, y_test = (
        None if part is None else ((part - center) / scale).astype(np.float32)
        for part in (data.y, data.y_test)
    )
    return data._replace(y=y, y_test=y_test, scale=float(scale) * data.scale)


def _real_steps(x: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """Booleans [examples, time], false where a step is padding."""
    time = np.arange(x.shape[1])
    return time < (np.array([len(time)]) if lengths is None else lengths)[:, None]


def _mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the first axis; deviation 1 if constant."""
    mean, deviation = (np.asarray(f(values, axis=0)) for f in (np.mean, np.std))
    constant = deviation <= 1e-7 * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation)
