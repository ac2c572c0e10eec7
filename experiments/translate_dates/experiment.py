"""The steps of the experiment."""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from experiments.harness import cells, cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.translate_dates import claims, figures
from experiments.translate_dates.claims import PROBED
from experiments.translate_dates.config import Config
from experiments.translate_dates.figures import attention_caption, caption
from experiments.translate_dates.measure import (
    PARTS,
    READS,
    AttentionResult,
    TranslationResult,
    measure_attention,
    translate,
    translate_all,
)
from nets.models import EncoderDecoder
from train.data import dates
from train.data.date_formats import FORMATS
from train.data.dates import Dates

ATTENTION = {"with": True, "without": False}
WIDEST = 100  # sequences per beam: 2,600 dates take 1.6 GB


def run(config: Config, results: Run) -> None:
    """Train every model and translate the held-out dates; publish the results."""
    training.check(config, config.examples, "dates")
    if config.beam > WIDEST:
        raise cli.UsageError(
            f"flag --beam: expected at most {WIDEST} sequences; got {config.beam}"
        )
    models = build(config)
    user_dates = [text.strip() for text in config.date.split(";") if text.strip()]
    if config.date and not user_dates:
        raise cli.UsageError(
            f"flag --date: expected dates separated by semicolons; got {config.date!r}"
        )
    for text in user_dates:
        if not any(character.isdigit() for character in text):
            raise cli.UsageError(
                f"flag --date: expected dates, which have digits; got {text!r}"
            )
    # Unreadable dates are reported before training.
    sources, lengths = map(jnp.asarray, dates.encode(user_dates))
    train, test = load(config)
    config = dataclasses.replace(config, held_out=len(test.targets))
    studies, attention, answers = [], None, {}
    for name, model in models.items():
        result, params = train_model(name, model, config, train, test, results)
        studies.append(result)
        if model.attention:
            attention = measure_attention(model, params, result, test)
        if user_dates:
            first = jax.tree.map(lambda leaf: leaf[0], params)
            beam = translate(model, first, sources, lengths, config.beam)
            answers[name] = dates.iso(np.asarray(beam.sequences[:, 0]))
    log(studies, attention, config.seeds, test, results)
    for i, text in enumerate(user_dates):
        translations = {name: texts[i] for name, texts in answers.items()}
        results.log(kind="translation", date=text, **translations)
    show(studies, attention, user_dates, answers, config, test, results)


def load(config: Config) -> tuple[Dates, Dates]:
    """Dates to train on, and dates of other days to measure on."""
    splits = dates.load(0, config.examples), dates.load(1, config.held_out, True)
    train, test = training.parts(splits, config)
    if config.evaluate_on == common_flags.VALIDATION:  # whole days, as in the test set
        unseen = ~np.isin(dates.iso(train.targets), dates.iso(test.targets))
        train = jax.tree.map(lambda leaf: leaf[unseen], train)
    training.check(config, len(train.targets), "dates")
    return train, test


def build(config: Config) -> dict[str, EncoderDecoder]:
    """The models that the flags specify, by name."""
    unknown = [name for name in config.attention if name not in ATTENTION]
    if unknown:
        raise cli.UsageError(
            f"flag --attention: expected some of {', '.join(ATTENTION)}; got "
            f"{unknown[0]!r}"
        )
    cell = cells.named(config.cell, config.embedding, config.features)
    models = {
        f"{name} attention": EncoderDecoder(
            cell,
            config.features,
            dates.VOCABULARY,
            len(dates.OUTPUT),
            config.embedding,
            config.bidirectional,
            ATTENTION[name],
        )
        for name in config.attention
    }
    for model in models.values():
        jax.eval_shape(model.init, jax.random.key(0), *example())
    return models


def example() -> tuple[Array, Array, Array]:
    """A source, its length and a target, to initialize a model with."""
    sources, targets = (
        jnp.zeros((1, n), int) for n in (dates.LENGTH, dates.OUTPUT_LENGTH)
    )
    return sources, jnp.ones(1, int), targets


def train_model(
    name: str,
    model: EncoderDecoder,
    config: Config,
    train: Dates,
    test: Dates,
    results: Run,
) -> tuple[TranslationResult, Any]:
    """Train one model per seed, and translate the held-out dates."""

    def loss_fn(params, batch, key):
        logits = cast(Array, model.apply({"params": params}, *batch))
        return training.losses(logits, batch[-1]).mean()

    def probe(params):
        sources, lengths, targets = (jnp.asarray(a[:PROBED]) for a in test[:3])
        outputs = translate(model, params, sources, lengths, 1).sequences[:, 0]
        return (outputs == targets).all(axis=-1).mean()

    params = training.start(model, example(), config.seeds)
    fitted = training.train(
        loss_fn,
        params,
        train[:3],
        config,
        results,
        title=name,
        labels={"model": name},
        schedule=optax.warmup_cosine_decay_schedule(
            0.0, 1.0, config.steps // 12, config.steps
        ),
        probe=probe,
        probe_every=max(1, config.steps // 24),
    )
    greedy, beam = translate_all(model, fitted.params, test, config.beam)
    assert fitted.probes is not None
    last = (greedy.symbols == test.targets).all(axis=-1)[:, :PROBED].mean(axis=1)
    return (
        TranslationResult(
            name,
            sum(leaf[0].size for leaf in jax.tree.leaves(params)),
            np.append(fitted.probes.steps, config.steps),
            np.concatenate([fitted.probes.values, last[None]]).T,
            greedy,
            beam,
            test.targets,
            fitted.seconds_per_step,
        ),
        fitted.params,
    )


def log(
    studies: list[TranslationResult],
    attention: AttentionResult | None,
    seeds: list[int],
    test: Dates,
    results: Run,
) -> None:
    """Log one row per model and seed, and one row per mistake."""
    sources, right = dates.decode(test.sources), dates.iso(test.targets)
    for result in studies:
        for i, seed in enumerate(seeds):
            labels = {"model": result.name, "seed": seed}
            for step, exact in zip(result.steps, result.curve[i], strict=True):
                results.log(kind="curve", **labels, step=int(step), exact=exact)
            results.log(
                kind="exact",
                **labels,
                greedy=result.exact[i],
                beam=result.beam_exact[i],
                characters=result.characters[i],
            )
            outputs = (
                dates.iso(result.greedy.symbols[i]),
                dates.iso(result.beam.symbols[i]),
            )
            for source, target, form, greedy, beam in zip(
                sources, right, test.formats, *outputs, strict=True
            ):
                if {greedy, beam} != {target}:
                    results.log(
                        kind="mistake",
                        **labels,
                        format=FORMATS[form].pattern,
                        source=source,
                        date=target,
                        greedy=greedy,
                        beam=beam,
                    )
    for seed, share in zip(
        seeds, () if attention is None else attention.shares, strict=False
    ):
        results.log(
            kind="attention", seed=seed, writes=list(PARTS), reads=READS, share=share
        )


def show(
    studies: list[TranslationResult],
    attention: AttentionResult | None,
    user_dates: list[str],
    answers: dict[str, list[str]],
    config: Config,
    test: Dates,
    results: Run,
) -> None:
    """Publish the results."""
    plots = {"translate_dates.png": figures.draw(studies, test, caption(config))}
    if attention is not None:
        plots["attention.png"] = figures.draw_attention(
            attention, attention_caption(config)
        )
    tables = {
        "Held-out dates": claims.table(studies, config.beam),
        "Mistakes in wrong dates": claims.mistakes(studies),
    }
    if user_dates:
        tables["Your dates"] = claims.own_dates(user_dates, answers)
    evaluated = claims.evaluate_claims(studies, config.beam)
    publish(
        results,
        answer=claims.ANSWERS[evaluated[0].outcome],
        figures=plots,
        tables=tables,
        claims=evaluated,
    )
