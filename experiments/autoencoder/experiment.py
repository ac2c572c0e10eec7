"""The steps of the experiment."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.autoencoder import figures
from experiments.autoencoder.claims import (
    ANSWERS,
    evaluate_claim,
    remarks,
    table,
    walk_title,
)
from experiments.autoencoder.config import Config
from experiments.autoencoder.measure import (
    AutoencoderResult,
    Images,
    halfway,
    pca,
    reconstruct,
)
from experiments.harness import cli, tables, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from nets import blocks
from nets.models import Autoencoder
from nets.models.autoencoder import UPSAMPLING
from train.data import digits

MOST = 32  # minimal number of PCA components in the figure


def run(config: Config, results: Run) -> None:
    """Train every autoencoder and compare it with PCA; publish the results."""
    splits = training.parts(digits.load(), config)
    training.check(config, len(splits[0].labels), "digits")
    models = build(config, (*splits[0].images.shape[1:], 1))
    if config.describe:
        return describe(models, results)
    train, test = (split.images[..., None] for split in splits)
    pca_result = pca(train, test, max(MOST, *config.latent))
    for count, (train_mse, test_mse) in enumerate(
        zip(pca_result.train_mse, pca_result.test_mse, strict=True)
    ):
        results.log(
            kind="pca", components=count, train_mse=train_mse, test_mse=test_mse
        )
    studies = [
        result
        for model in models
        for result in train_and_measure(model, config, train, test, results)
    ]
    interpolated = next(result for result in studies if not result.switches)
    distances, pca_distance = halfway(interpolated, pca_result, train, splits[1])
    for seed, distance in zip(config.seeds, distances, strict=True):
        results.log(
            kind="halfway",
            latent=interpolated.model.latent,
            upsample=interpolated.model.upsample,
            seed=seed,
            autoencoder_mse=distance,
            pca_mse=pca_distance,
        )
    text, claim = caption(config), evaluate_claim(studies, pca_result)
    title = walk_title(distances, pca_distance)
    publish(
        results,
        answer=ANSWERS[claim.outcome],
        figures={
            "reconstructions.png": figures.reconstructions(
                studies, pca_result, splits[1], text
            ),
            "walk.png": figures.walk(interpolated, splits[1], title, text),
            "errors.png": figures.errors(studies, pca_result, text),
        },
        tables={"Mean squared errors": table(studies, pca_result)},
        claims=[claim],
        findings=remarks(studies, pca_result),
    )


def build(config: Config, shape: Sequence[int]) -> list[Autoencoder]:
    """Build the autoencoders that the flags specify."""
    pixels, width = int(np.prod(shape)), shape[0]
    for name in config.upsample:
        if name not in UPSAMPLING:
            raise cli.UsageError(
                f"flag --upsample: expected some of {', '.join(UPSAMPLING)}; got "
                f"{name!r}"
            )
    if not all(1 <= latent < pixels for latent in config.latent):
        raise cli.UsageError(
            f"flag --latent: expected integers from 1 to {pixels - 1}, fewer than a "
            f"digit has pixels; got {config.latent}"
        )
    if config.kernel_size > width:
        raise cli.UsageError(
            f"flag --kernel_size: expected at most {width}, the width of a digit; got "
            f"{config.kernel_size}"
        )
    kernel = (config.kernel_size,) * 2
    try:
        return [
            Autoencoder(tuple(shape), latent, tuple(config.filters), kernel, upsample)
            for latent in config.latent
            for upsample in config.upsample
        ]
    except ValueError as error:
        raise cli.UsageError(f"flag --filters: {error}") from None


def describe(models: Sequence[Autoencoder], results: Run) -> None:
    """Print and log the layers of every autoencoder."""
    for model in models:
        rows = blocks.summary(model.layers, model.shape)
        name = {"latent": model.latent, "upsample": model.upsample}
        for row in rows:
            results.log(kind="layer", **name, **row._asdict())
        print(f"latent {model.latent}, {model.upsample}:")
        print(tables.layers(rows).text() + "\n")


def caption(config: Config) -> str:
    """Description of the training, for the figures."""
    return (
        f"{len(config.seeds)} seeds; filters {', '.join(map(str, config.filters))}; "
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size}, clip norm {config.clip_norm:g}."
    )


def train_and_measure(
    model: Autoencoder, config: Config, train: Images, test: Images, results: Run
) -> list[AutoencoderResult]:
    """Train one autoencoder per seed, and measure it: with and without switches."""
    name = {"latent": model.latent, "upsample": model.upsample}
    params = training.start(model, jnp.asarray(train[:1]), config.seeds)

    def loss_fn(params, batch, key):
        ys = cast(Array, model.apply({"params": params}, batch))
        return jnp.square(ys - batch).mean()

    fitted = training.train(
        loss_fn,
        params,
        train,
        config,
        results,
        title=f"latent {model.latent}, {model.upsample}",
        labels=name,
    )
    xs = np.concatenate([train, test])
    z, *reconstructions = jax.tree.map(
        np.asarray, reconstruct(model, fitted.params, xs)
    )
    studies = []
    for switches, images in zip(
        (len(reconstructions) == 2, False), reconstructions, strict=False
    ):
        errors = np.square(images - xs).mean(axis=(2, 3, 4))
        split_errors = np.split(errors, [len(train)], axis=1)
        train_mse, test_mse = (
            errors_of_split.mean(axis=1) for errors_of_split in split_errors
        )
        for seed, *of_seed in zip(config.seeds, train_mse, test_mse, strict=True):
            row = {"train_mse": of_seed[0], "test_mse": of_seed[1]}
            results.log(kind="mse", **name, switches=switches, seed=seed, **row)
        held = slice(len(train), None)
        studies.append(
            AutoencoderResult(
                model,
                fitted.params,
                switches,
                z[:, held],
                images[:, held],
                train_mse,
                test_mse,
            )
        )
    return studies
