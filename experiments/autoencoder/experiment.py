"""The experiment: its flags and its steps."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.autoencoder import figures
from experiments.autoencoder.claims import (
    ANSWERS,
    Images,
    Study,
    evaluate_claim,
    halfway,
    pca,
    remarks,
    table,
)
from experiments.harness import cli, common_flags, tables, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from nets import blocks
from nets.models import Autoencoder
from nets.models.autoencoder import UPSAMPLING
from train.data import digits

MOST = 32  # components of PCA that its curve reaches at least


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    latent: list[int] = cli.flag(
        [8, 16], "Numbers in z; several are compared.", upper_bound=4096
    )
    upsample: list[str] = cli.flag(
        ["nearest"],
        f"How the decoder doubles sizes, of {', '.join(UPSAMPLING)}; several are "
        "compared.",
    )
    filters: list[int] = cli.flag(
        [16, 32],
        "Feature maps of each block of the encoder, which halves each side.",
        repeats=True,
        upper_bound=4096,
    )
    kernel_size: int = cli.flag(3, "Width of every kernel.", lower_bound=1)
    steps: int = common_flags.steps(2000, "Training steps (14 are an epoch).")
    describe: bool = cli.flag(False, "Print the layers, and train nothing.")


def run(config: Config, results: Run) -> None:
    """Train every autoencoder; log, draw and print what was found."""
    halves = training.parts(digits.load(), config)
    training.check(config, len(halves[0].labels), "digits")
    models = build(config, (*halves[0].images.shape[1:], 1))
    if config.describe:
        return describe(models, results)
    train, test = (half.images[..., None] for half in halves)
    linear = pca(train, test, max(MOST, *config.latent))
    for count, (known, new) in enumerate(
        zip(linear.train_mse, linear.test_mse, strict=True)
    ):
        results.log(kind="pca", components=count, train_mse=known, test_mse=new)
    studies = [
        s for model in models for s in study(model, config, train, test, results)
    ]
    walker = next(s for s in studies if not s.switches)
    ours, theirs = halfway(walker, linear, train, halves[1])
    for seed, distance in zip(config.seeds, ours, strict=True):
        results.log(
            kind="halfway",
            latent=walker.model.latent,
            upsample=walker.model.upsample,
            seed=seed,
            autoencoder_mse=distance,
            pca_mse=theirs,
        )
    text, judged = caption(config), evaluate_claim(studies, linear)
    title = figures.walk_title(ours, theirs)
    publish(
        results,
        answer=ANSWERS[judged.outcome],
        figures={
            "reconstructions.png": figures.reconstructions(
                studies, linear, halves[1], text
            ),
            "walk.png": figures.walk(walker, halves[1], title, text),
            "errors.png": figures.errors(studies, linear, text),
        },
        tables={"Mean squared errors": table(studies, linear)},
        claims=[judged],
        findings=remarks(studies, linear),
    )


def build(config: Config, shape: Sequence[int]) -> list[Autoencoder]:
    """The autoencoders that the flags ask for."""
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
    """Print the layers of every autoencoder, and log them."""
    for model in models:
        rows = blocks.summary(model.layers, model.shape)
        name = {"latent": model.latent, "upsample": model.upsample}
        for row in rows:
            results.log(kind="layer", **name, **row._asdict())
        print(f"latent {model.latent}, {model.upsample}:")
        print(tables.layers(rows).text() + "\n")


def caption(config: Config) -> str:
    """How the autoencoders were trained, in a sentence."""
    return (
        f"{len(config.seeds)} seeds; filters {', '.join(map(str, config.filters))}; "
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size}, clip norm {config.clip_norm:g}."
    )


def study(
    model: Autoencoder, config: Config, train: Images, test: Images, results: Run
) -> list[Study]:
    """Train an autoencoder from every seed, and measure it: twice, if it unpools."""
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
    z, *found = jax.tree.map(np.asarray, reconstruct(model, fitted.params, xs))
    studies = []
    for told, images in zip((len(found) == 2, False), found, strict=False):
        errors = np.square(images - xs).mean(axis=(2, 3, 4))
        halves = np.split(errors, [len(train)], axis=1)
        train_mse, test_mse = (half.mean(axis=1) for half in halves)
        for seed, *of_seed in zip(config.seeds, train_mse, test_mse, strict=True):
            row = {"train_mse": of_seed[0], "test_mse": of_seed[1]}
            results.log(kind="mse", **name, switches=told, seed=seed, **row)
        held = slice(len(train), None)
        studies.append(
            Study(
                model,
                fitted.params,
                told,
                z[:, held],
                images[:, held],
                train_mse,
                test_mse,
            )
        )
    return studies


@functools.partial(jax.jit, static_argnums=0)
def reconstruct(model: Autoencoder, params: Any, xs: Images) -> tuple[Array, ...]:
    """z of images, and what every seed's autoencoder makes of them.

    If it unpools, this is once with and once without the switches.
    """

    def one(variables):
        z, switches = cast(Any, model.apply(variables, xs, method="encode"))
        ways = (switches, ()) if switches else ((),)
        found = [model.apply(variables, z, way, method="decode") for way in ways]
        return z, *found

    return jax.lax.map(one, {"params": params})
