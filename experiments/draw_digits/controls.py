"""Controls that drawn digits are compared with."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from nets.models import Mixture, SequenceGenerator
from nets.types import State
from train.data.digits import Digits

Images = Float[np.ndarray, "seeds examples 8 8"]
CONTROL = 2  # folded into a seed
CLASSES = 10
REAL, BLIND, MIXED, SHUFFLED, UNTRAINED = (
    "real",
    "blind",
    "mixed",
    "shuffled",
    "untrained",
)


class Blind(SequenceGenerator):
    """A generator that knows the label and the row index, but not the rows before."""

    def follow(
        self,
        labels: Int[Array, "*batch"],
        before: Float[Array, "*batch time outputs"],
        state: State | None = None,
    ) -> tuple[State, Mixture]:
        """Call `SequenceGenerator.follow` with zeros for the rows before."""
        return super().follow(labels, jnp.zeros_like(before), state)


def shuffled(images: Images, seeds: list[int]) -> Images:
    """The images with the rows of each in random order."""
    changed = images.copy()
    for seed, seed_images in zip(seeds, changed, strict=True):
        rng = np.random.default_rng([seed, CONTROL])
        for image in seed_images:
            image[:] = image[rng.permutation(len(image))]
    return changed


def mixed(data: Digits, seeds: list[int]) -> Images:
    """Digits whose rows come from different digits of the same label."""
    changed = []
    for seed in seeds:
        rng = np.random.default_rng([seed, CONTROL])
        seed_images = data.images.copy()
        for label in range(CLASSES):
            of_label = np.flatnonzero(data.labels == label)
            for row in range(seed_images.shape[1]):
                seed_images[of_label, row] = data.images[rng.permutation(of_label), row]
        changed.append(seed_images)
    return np.stack(changed)
