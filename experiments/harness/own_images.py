"""The user's own images."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments.harness import own_data, training
from experiments.harness.runs import Run


class Images(NamedTuple):
    """Images with channels, and the class of each."""

    images: Float[np.ndarray, "examples height width channels"]
    labels: Int[np.ndarray, " examples"]


class Data(NamedTuple):
    """The user's own images.

    Attributes:
        train: Training images.
        test: Held-out images.
        classes: Names of the classes.
        setting: Description of the data.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    setting: str


def load(config: Any, results: Run | None = None) -> Data:
    """Load the user's own images.

    Args:
        config: The flags.
        results: Run that gets a description of the data, if there is one.

    Returns:
        The `Data`.

    Raises:
        DataError: The images cannot be read.
    """
    data, text = own_data.load(config, image_size=config.image_size)
    if config.batch_size:
        training.check(config, len(data.y), "images")
    if results is not None:
        own_data.announce(results, text, "image")
    assert data.x_test is not None and data.y_test is not None
    test = Images(data.x_test, data.y_test)
    return Data(Images(data.x, data.y), test, data.classes, text)
