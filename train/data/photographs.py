"""The two photographs in scikit-learn, in grayscale."""

import numpy as np
from jaxtyping import Float
from sklearn.datasets import load_sample_image

PHOTOGRAPHS = ("china", "flower")
LUMINANCE = (0.299, 0.587, 0.114)  # weights of red, green and blue


def load(name: str) -> Float[np.ndarray, "height width"]:
    """Load a photograph of 427x640 pixels: a palace roof or a dahlia.

    Args:
        name: One of `PHOTOGRAPHS`.

    Returns:
        Luminance from 0 (black) to 1 (white), in float32.

    Raises:
        ValueError: The name is not in `PHOTOGRAPHS`.

    Example:
        >>> load("china").shape
        (427, 640)

    References:
        ITU-R BT.601, https://www.itu.int/rec/R-REC-BT.601 (weights of the colors)
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(
            f"expected a photograph of {', '.join(PHOTOGRAPHS)}; got {name!r}"
        )
    colors = load_sample_image(f"{name}.jpg") / 255
    return (colors @ np.array(LUMINANCE)).astype(np.float32)
