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
    Pixels,
    halfway,
    pca,
    reconstruct,
)
from experiments.harness import cli, own_data, own_images, published, tables, training
from experiments.harness.networks import Network, linen
from experiments.harness.own_images import Images
from experiments.harness.published import Published
from experiments.harness.report import publish
from experiments.harness.runs import Run
from nets import blocks
from nets.models import Autoencoder
from nets.models.autoencoder import UPSAMPLING
from train.data import digits

MOST = 32  # minimal number of PCA components in the figure
PCA = {8: 0.02686, 16: 0.01330}  # held-out error by number of components, elsewhere
PCA_TOLERANCE = 1e-4


def run(config: Config, results: Run) -> None:
    """Train every autoencoder and compare it with PCA; publish the results."""
    splits, setting = load(config, results)
    models = build(config, splits[0].images.shape[1:], len(splits[0].labels))
    if config.describe:
        return describe(models, results)
    train, test = (split.images for split in splits)
    most = min(len(train), train[0].size)
    pca_result = pca(train, test, min(max(MOST, *config.latent), most))
    for count, (train_mse, test_mse) in enumerate(
        zip(pca_result.train_mse, pca_result.test_mse, strict=True)
    ):
        results.log(
            kind="pca", components=count, train_mse=train_mse, test_mse=test_mse
        )
    if not config.own():
        for count, value in PCA.items():
            setting = f"digits, PCA of {count} numbers, held-out MSE"
            number = Published(setting, value, "scikit-learn's PCA", PCA_TOLERANCE)
            published.log(results, number, [pca_result.test_mse[count]])
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
    noun = "image" if config.own() else "digit"
    text, claim = setting + caption(config), evaluate_claim(studies, pca_result)
    claim = claim._replace(
        text=claim.text.replace("digit", noun),
        evidence=claim.evidence.replace("digit", noun),
    )
    which = [f"Data: {setting.removesuffix('; ')}."] if setting else []
    title = walk_title(distances, pca_distance).replace("digit", noun)
    findings = [
        sentence.replace("digit", noun) for sentence in remarks(studies, pca_result)
    ]
    publish(
        results,
        answer=ANSWERS[claim.outcome].replace("digit", noun),
        figures={
            "reconstructions.png": figures.reconstructions(
                studies, pca_result, splits[1], text, noun
            ),
            "walk.png": figures.walk(interpolated, splits[1], title, text, noun),
            "errors.png": figures.errors(studies, pca_result, text, noun),
        },
        tables={"Mean squared errors": table(studies, pca_result)},
        claims=[claim],
        findings=[*findings, *which],
    )


def load(
    config: Config, results: Run | None = None
) -> tuple[tuple[Images, Images], str]:
    """The training and the test set, and a description of the user's own data."""
    if not config.own():
        own_data.expect_no_flags_of_own_data(config)
        train, test = training.parts(digits.load(), config)
        training.check(config, len(train.labels), "digits")
        return (
            Images(train.images[..., None], train.labels),
            Images(test.images[..., None], test.labels),
        ), ""
    own_data.expect_defaults(
        config, ["standardize"], "pixels stay from 0 to 1; omit it"
    )
    data = own_images.load(config, results)
    ends = [end for xs, _ in (data.train, data.test) for end in (xs.min(), xs.max())]
    if min(ends) < 0 or max(ends) > 1:
        raise cli.UsageError(
            "flag --data: expected pixels from 0 to 1, or bytes from 0 to 255; got "
            f"{min(ends):g} to {max(ends):g}; scale the images"
        )
    if len(np.unique(data.test.labels)) < 2:
        raise cli.UsageError(
            "flag --data: expected at least 2 classes in the test part; got 1; add "
            "images of another class"
        )
    return (data.train, data.test), f"{data.setting}; "


def build(config: Config, shape: Sequence[int], examples: int) -> list[Autoencoder]:
    """Build the autoencoders that the flags specify."""
    pixels, width = min(int(np.prod(shape)), examples), min(shape[:-1])
    noun, also = (
        ("an image", " and there are examples") if config.own() else ("a digit", "")
    )
    for name in config.upsample:
        if name not in UPSAMPLING:
            raise cli.UsageError(
                f"flag --upsample: expected some of {', '.join(UPSAMPLING)}; got "
                f"{name!r}"
            )
    if not all(1 <= latent < pixels for latent in config.latent):
        raise cli.UsageError(
            f"flag --latent: expected integers from 1 to {pixels - 1}, fewer than "
            f"{noun} has pixels{also}; got {config.latent}"
        )
    if config.kernel_size > width:
        raise cli.UsageError(
            f"flag --kernel_size: expected at most {width}, the width of {noun}; got "
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


def name_of(model: Autoencoder) -> str:
    """Name of an autoencoder in the folder of a run."""
    return f"latent {model.latent}, {model.upsample}"


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name; their score is the held-out error."""
    (train, test), _ = load(config)
    images = jnp.asarray(test.images)

    def errors(ys, xs):
        return jnp.square(ys - xs).mean(axis=(1, 2, 3))

    return {
        name_of(model): linen(model, (images,), images, errors)
        for model in build(config, images.shape[1:], len(train.labels))
    }


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
    model: Autoencoder, config: Config, train: Pixels, test: Pixels, results: Run
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
        title=name_of(model),
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
