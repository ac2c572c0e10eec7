"""The experiment: its flags and its steps."""

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
from experiments.translate_dates.claims import PARTS, PROBED, Study
from experiments.translate_dates.figures import caption, looks_caption
from experiments.translate_dates.measure import READS, Looks, look, translate, write
from nets.models import EncoderDecoder
from train.data import dates
from train.data.date_formats import FORMATS
from train.data.dates import Dates

ATTENTION = {"with": True, "without": False}
WIDEST = 100  # sequences of a beam: 2,600 dates then take 1.6 GB


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    cell: str = cli.flag(
        "lstm", "Reads and writes: a name in nets.CELLS, or package.module:name."
    )
    attention: list[str] = cli.flag(
        ["with", "without"], "Models to train: with, without."
    )
    bidirectional: bool = cli.flag(True, "Read the source from both ends.")
    features: int = common_flags.features(64, "Hidden units of each direction.")
    embedding: int = cli.flag(
        32, "Numbers in a character's vector.", lower_bound=1, upper_bound=16_384
    )
    beam: int = cli.flag(
        4, "Sequences that beam search keeps, at most 100.", lower_bound=1
    )
    examples: int = cli.flag(
        50_000, "Dates to train on.", lower_bound=1, upper_bound=1_000_000
    )
    held_out: int = cli.flag(
        2600, "Dates to test on.", lower_bound=1, upper_bound=100_000
    )
    date: str = cli.flag("", "Dates of your own to translate, separated by semicolons.")
    learning_rate: float = common_flags.learning_rate(
        1e-2, "The highest, after a twelfth of the steps; it ends at 0."
    )
    batch_size: int = common_flags.batch_size(32, "Dates a step.")
    steps: int = common_flags.steps(1200)


def run(config: Config, results: Run) -> None:
    """Train every model; log, draw and print what was found."""
    training.check(config, config.examples, "dates")
    if config.beam > WIDEST:
        raise cli.UsageError(
            f"flag --beam: expected at most {WIDEST} sequences; got {config.beam}"
        )
    models = build(config)
    own = [text.strip() for text in config.date.split(";") if text.strip()]
    if config.date and not own:
        raise cli.UsageError(
            f"flag --date: expected dates separated by semicolons; got {config.date!r}"
        )
    for text in own:
        if not any(character.isdigit() for character in text):
            raise cli.UsageError(
                f"flag --date: expected dates, which have digits; got {text!r}"
            )
    # What it cannot read it says before it trains.
    sources, lengths = map(jnp.asarray, dates.encode(own))
    train, test = load(config)
    config = dataclasses.replace(config, held_out=len(test.targets))
    studies, looks, answers = [], None, {}
    for name, model in models.items():
        found, params = study(name, model, config, train, test, results)
        studies.append(found)
        if model.attention:
            looks = look(model, params, found, test)
        if own:
            first = jax.tree.map(lambda leaf: leaf[0], params)
            beam = translate(model, first, sources, lengths, config.beam)
            answers[name] = dates.iso(np.asarray(beam.sequences[:, 0]))
    log(studies, looks, config.seeds, test, results)
    for i, text in enumerate(own):
        said = {name: texts[i] for name, texts in answers.items()}
        results.log(kind="translation", date=text, **said)
    show(studies, looks, own, answers, config, test, results)


def load(config: Config) -> tuple[Dates, Dates]:
    """Dates to train on, and dates of other days to measure on."""
    halves = dates.load(0, config.examples), dates.load(1, config.held_out, True)
    train, test = training.parts(halves, config)
    if config.evaluate_on == training.VALIDATION:  # whole days, as in the test set
        other = ~np.isin(dates.iso(train.targets), dates.iso(test.targets))
        train = jax.tree.map(lambda leaf: leaf[other], train)
    training.check(config, len(train.targets), "dates")
    return train, test


def build(config: Config) -> dict[str, EncoderDecoder]:
    """The models that the flags ask for, by their names."""
    wrong = [name for name in config.attention if name not in ATTENTION]
    if wrong:
        raise cli.UsageError(
            f"flag --attention: expected some of {', '.join(ATTENTION)}; got "
            f"{wrong[0]!r}"
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
    """A source, its length, and a target."""
    sources, targets = (
        jnp.zeros((1, n), int) for n in (dates.LENGTH, dates.OUTPUT_LENGTH)
    )
    return sources, jnp.ones(1, int), targets


def study(
    name: str,
    model: EncoderDecoder,
    config: Config,
    train: Dates,
    test: Dates,
    results: Run,
) -> tuple[Study, Any]:
    """Train a model from every seed, and translate the held-out dates with it."""

    def loss_fn(params, batch, key):
        logits = cast(Array, model.apply({"params": params}, *batch))
        return training.losses(logits, batch[-1]).mean()

    def probe(params):
        sources, lengths, targets = (jnp.asarray(a[:PROBED]) for a in test[:3])
        said = translate(model, params, sources, lengths, 1).sequences[:, 0]
        return (said == targets).all(axis=-1).mean()

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
    greedy, beam = write(model, fitted.params, test, config.beam)
    assert fitted.probes is not None
    last = (greedy.symbols == test.targets).all(axis=-1)[:, :PROBED].mean(axis=1)
    return (
        Study(
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
    studies: list[Study],
    looks: Looks | None,
    seeds: list[int],
    test: Dates,
    results: Run,
) -> None:
    """A row a seed of every model, and one for each of its mistakes."""
    sources, right = dates.decode(test.sources), dates.iso(test.targets)
    for one in studies:
        for i, seed in enumerate(seeds):
            where = {"model": one.name, "seed": seed}
            for step, exact in zip(one.steps, one.curve[i], strict=True):
                results.log(kind="curve", **where, step=int(step), exact=exact)
            results.log(
                kind="exact",
                **where,
                greedy=one.exact[i],
                beam=one.beam_exact[i],
                characters=one.characters[i],
            )
            said = dates.iso(one.greedy.symbols[i]), dates.iso(one.beam.symbols[i])
            for source, true, form, greedy, beam in zip(
                sources, right, test.formats, *said, strict=True
            ):
                if {greedy, beam} != {true}:
                    results.log(
                        kind="mistake",
                        **where,
                        format=FORMATS[form].pattern,
                        source=source,
                        date=true,
                        greedy=greedy,
                        beam=beam,
                    )
    for seed, share in zip(seeds, () if looks is None else looks.shares, strict=False):
        results.log(
            kind="attention", seed=seed, writes=list(PARTS), reads=READS, share=share
        )


def show(
    studies: list[Study],
    looks: Looks | None,
    own: list[str],
    answers: dict[str, list[str]],
    config: Config,
    test: Dates,
    results: Run,
) -> None:
    """Publish the results."""
    plots = {"translate_dates.png": figures.draw(studies, test, caption(config))}
    if looks is not None:
        plots["attention.png"] = figures.draw_looks(looks, looks_caption(config))
    tables = {
        "Held-out dates": claims.table(studies, config.beam),
        "Mistakes in wrong dates": claims.mistakes(studies),
    }
    if own:
        tables["Your dates"] = claims.own_dates(own, answers)
    judged = claims.evaluate_claims(studies, config.beam)
    publish(
        results,
        answer=claims.ANSWERS[judged[0].outcome],
        figures=plots,
        tables=tables,
        claims=judged,
    )
