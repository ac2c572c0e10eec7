"""The two photographs that scikit-learn carries, in grey."""

import numpy as np
from jaxtyping import Float
from sklearn.datasets import load_sample_image

PHOTOGRAPHS = ("china", "flower")
LUMINANCE = (0.299, 0.587, 0.114)  # how bright red, green and blue seem


def load(name: str) -> Float[np.ndarray, "height width"]:
    """A photograph of 427x640 pixels: a palace roof, or a dahlia.

    Args:
        name: One of `PHOTOGRAPHS`.

    Returns:
        Its luminance, from 0 (black) to 1 (white), float32.

    Raises:
        ValueError: There is no photograph of that name.

    Example:
        >>> load("china").shape
        (427, 640)

    References:
        ITU-R BT.601, https://www.itu.int/rec/R-REC-BT.601: the weights of the colours
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(
            f"expected a photograph of {', '.join(PHOTOGRAPHS)}; got {name!r}"
        )
    colours = load_sample_image(f"{name}.jpg") / 255
    return (colours @ np.array(LUMINANCE)).astype(np.float32)
