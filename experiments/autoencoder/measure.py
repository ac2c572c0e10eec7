"""The results of autoencoders, and PCA, with which they are compared."""

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from sklearn.decomposition import PCA

from experiments.harness.own_images import Images
from nets.models import Autoencoder

Pixels = Float[np.ndarray, "examples *pixels"]


class AutoencoderResult(NamedTuple):
    """Results of one autoencoder, over seeds.

    Attributes:
        model: Autoencoder.
        params: Parameters of all seeds, stacked.
        switches: Whether the decoder received the positions of the encoder's maxima.
        z: Codes of the held-out digits, [seeds, examples, latent].
        images: Reconstructions of the held-out digits,
            [seeds, examples, height, width, 1].
        train_mse: Mean squared error on the training digits, [seeds].
        test_mse: Mean squared error on the held-out digits, [seeds].
    """

    model: Autoencoder
    params: Any
    switches: bool
    z: Float[np.ndarray, "seeds examples latent"]
    images: Float[np.ndarray, "seeds examples height width 1"]
    train_mse: Float[np.ndarray, " seeds"]
    test_mse: Float[np.ndarray, " seeds"]

    @property
    def label(self) -> str:
        """Name of the upsampling."""
        if self.model.upsample != "unpool":
            return self.model.upsample
        return "unpool, switches*" if self.switches else "unpool, no switches"


class PCAResult(NamedTuple):
    """PCA of the digits, and its errors.

    Attributes:
        mean: Mean digit, [pixels].
        components: Orthonormal components in order of variance, [count, pixels].
        train_mse: Mean squared error on the training digits with 0, 1, ... components,
            [count + 1].
        test_mse: Mean squared error on the held-out digits with 0, 1, ... components,
            [count + 1].
    """

    mean: Float[np.ndarray, " pixels"]
    components: Float[np.ndarray, "count pixels"]
    train_mse: Float[np.ndarray, " counts"]
    test_mse: Float[np.ndarray, " counts"]


@functools.partial(jax.jit, static_argnums=0)
def decode(model: Autoencoder, params: Any, z: Array) -> Array:
    """Decode codes [seeds, examples, latent] into images, without switches."""

    def decode_seed(params, z):
        return cast(Array, model.apply({"params": params}, z, method="decode"))

    return jax.vmap(decode_seed)(params, z)


def project(pca_result: PCAResult, xs: Pixels, count: int) -> Pixels:
    """Project images onto the first `count` components of PCA, [examples, pixels]."""
    centered, axes = (
        xs.reshape(len(xs), -1) - pca_result.mean,
        pca_result.components[:count],
    )
    return pca_result.mean + centered @ axes.T @ axes


def half_pairs(test: Images) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of held-out digits of different classes, one from each half."""
    half = len(test.labels) // 2
    (a,) = np.nonzero(test.labels[:half] != test.labels[half : 2 * half])
    if not len(a):  # of a few images
        return tuple(np.argwhere(test.labels[:, None] != test.labels)[0, :, None])
    return a, a + half


def pca(train: Pixels, test: Pixels, count: int) -> PCAResult:
    """PCA of the training digits, and its errors with up to `count` components."""
    train, test = (xs.reshape(len(xs), -1).astype(np.float64) for xs in (train, test))
    fitted = PCA(count, svd_solver="full").fit(train)
    mean, components = map(np.asarray, (fitted.mean_, fitted.components_))
    pca_result = PCAResult(mean, components, np.empty(0), np.empty(0))
    errors = [
        np.array(
            [
                np.square(project(pca_result, xs, k) - xs).mean()
                for k in range(count + 1)
            ]
        )
        for xs in (train, test)
    ]
    return pca_result._replace(train_mse=errors[0], test_mse=errors[1])


def halfway(
    result: AutoencoderResult, pca_result: PCAResult, train: Pixels, test: Images
) -> tuple[np.ndarray, float]:
    """Distance of the midpoint between two digits from the nearest training digit.

    Returns the mean squared difference, averaged over pairs of held-out digits: for the
    midpoint in the code of each seed's autoencoder, and for PCA of the same size, where
    the midpoint is a blend of both digits.
    """
    a, b = half_pairs(test)
    middles = jnp.asarray(result.z[:, a] + result.z[:, b]) / 2
    decoded = decode(result.model, result.params, middles)
    blends = (test.images[a] + test.images[b]) / 2
    blends = project(pca_result, blends, result.model.latent)
    return np.array([nearest(xs, train) for xs in decoded]), nearest(blends, train)


def nearest(xs: Any, train: Pixels) -> float:
    """Mean over images of the mean squared difference to the nearest training digit."""
    xs, train = (np.asarray(ys).reshape(len(ys), -1) for ys in (xs, train))
    squares = np.square(xs).sum(axis=1)[:, None] + np.square(train).sum(axis=1)
    distances = (squares - 2 * xs @ train.T) / xs.shape[1]
    return float(distances.min(axis=1).mean())


@functools.partial(jax.jit, static_argnums=0)
def reconstruct(model: Autoencoder, params: Any, xs: Pixels) -> tuple[Array, ...]:
    """Codes and reconstructions of images, for every seed.

    An autoencoder that unpools reconstructs twice: with the switches and without.
    """

    def reconstruct_seed(variables):
        z, switches = cast(Any, model.apply(variables, xs, method="encode"))
        ways = (switches, ()) if switches else ((),)
        images = [model.apply(variables, z, way, method="decode") for way in ways]
        return z, *images

    return jax.lax.map(reconstruct_seed, {"params": params})
