"""What drawn digits are held against, and how their likeness is measured."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from nets.models import Mixture, SequenceGenerator
from nets.types import State
from train.data.digits import Digits

Images = Float[np.ndarray, "seeds examples 8 8"]
CONTROL = 2  # folded into a seed
CLASSES = 10


class Blind(SequenceGenerator):
    """A generator that does not see what it has drawn; it knows label and row."""

    def follow(
        self,
        labels: Int[Array, "*batch"],
        before: Float[Array, "*batch time outputs"],
        state: State | None = None,
    ) -> tuple[State, Mixture]:
        """As in `SequenceGenerator`, with zeros for the rows before."""
        return super().follow(labels, jnp.zeros_like(before), state)


def shuffled(images: Images, seeds: list[int]) -> Images:
    """The same, the rows of each in another order: what a judge should not read."""
    changed = images.copy()
    for seed, some in zip(seeds, changed, strict=True):
        rng = np.random.default_rng([seed, CONTROL])
        for image in some:
            image[:] = image[rng.permutation(len(image))]
    return changed


def mixed(data: Digits, seeds: list[int]) -> Images:
    """Digits whose rows are each of another digit of the label: none fits the next."""
    changed = []
    for seed in seeds:
        rng = np.random.default_rng([seed, CONTROL])
        some = data.images.copy()
        for label in range(CLASSES):
            of_label = np.flatnonzero(data.labels == label)
            for row in range(some.shape[1]):
                some[of_label, row] = data.images[rng.permutation(of_label), row]
        changed.append(some)
    return np.stack(changed)


def likeness(
    images: Images, labels: np.ndarray, train: Digits, test: Digits
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    """How varied images of a label are, and how near to the nearest training digit.

    Args:
        images: Of every seed.
        labels: Theirs, [examples].
        train: What may have been copied.
        test: What is as varied as digits are.

    Returns:
        The deviation of pixels within a label, over that of held-out digits; and the
        root mean square distance, a pixel, to the nearest training digit of the label,
        the median over images.
    """
    varied, near = [], []
    real = spread(test.images, test.labels)
    flat = train.images.reshape(len(train.images), -1)
    for some in images:
        varied.append(spread(some, labels) / real)
        distances = []
        for label in range(CLASSES):
            ours = some[labels == label].reshape(-1, 1, flat.shape[1])
            theirs = flat[train.labels == label][None]
            square = np.square(ours - theirs).mean(axis=2)
            distances.append(np.sqrt(square.min(axis=1)))
        near.append(np.median(np.concatenate(distances)))
    return np.array(varied), np.array(near)


def spread(images: Float[np.ndarray, "examples 8 8"], labels: np.ndarray) -> float:
    """The root of the pixels' mean variance within a label."""
    within = [images[labels == label].var(axis=0).mean() for label in range(CLASSES)]
    return float(np.sqrt(np.mean(within)))
