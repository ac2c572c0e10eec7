"""The steps of the experiment."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import nets
from experiments.harness import cells, cli, common_flags, published, training
from experiments.harness.networks import Network, linen
from experiments.harness.published import Published
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.music import claims, figures, midi, piano_rolls
from experiments.music.config import Config
from experiments.music.figures import caption
from experiments.music.measure import CellResult, Continuation
from experiments.music.piano_rolls import mean_nll
from nets.models import SequenceTagger
from train.data import chorales
from train.data.chorales import KEYS, Chorales, Pieces

SAMPLED = 1  # folded into the key of a seed, to sample the continuation


def run(config: Config, results: Run) -> None:
    """Train every cell and continue a piece; publish the results."""
    data = load(config)
    models = {name: model(name, config) for name in config.cells}
    floors = piano_rolls.floors(data.train, data.test)
    results.log(kind="floors", as_published=data.as_published, **floors)
    studies = [learn(name, models[name], data, config, results) for name in models]
    best = min(studies, key=lambda study: study.best_valid.mean())
    if as_published(data, config):
        compare(studies, results)
    music = continue_piece(best, models[best.cell], data.test, config)
    log_music(music, config, results)
    midi.write(music.roll).save(results.path / "continuation.mid")
    show(studies, floors, music, data, config, results)


def show(
    studies: list[CellResult],
    floors: dict[str, float],
    music: Continuation,
    data: Chorales,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    text, known = caption(config, data), as_published(data, config)
    evaluated = claims.evaluate_claims(studies, floors["markov"], known)
    plot = figures.draw(studies, floors, music, text, known)
    publish(
        results,
        answer=claims.answer(studies, floors["markov"]),
        figures={
            "music.png": plot,
            "learning.png": figures.draw_learning(studies, floors, text),
        },
        tables={"Next-step prediction": claims.table(studies, floors, known)},
        claims=evaluated,
        findings=claims.findings(music),
    )


def load(config: Config) -> Chorales:
    """Load the chorales, and check the flags against them."""
    for name in ("input_dropout", "recurrent_dropout"):
        if (rate := getattr(config, name)) >= 1:
            raise cli.UsageError(
                f"flag --{name}: expected a rate from 0 to below 1; got {rate}"
            )
    if not config.data_dir:
        raise cli.UsageError(
            f"flag --data_dir: expected the folder that holds {chorales.FILE}; got "
            f"none ({chorales.HINT})"
        )
    if config.temperature == 0:
        raise cli.UsageError("flag --temperature: expected a number above 0; got 0")
    data = chorales.load(config.data_dir)
    if config.evaluate_on == common_flags.VALIDATION:  # the data set has its own
        data = data._replace(test=data.valid)
    training.check(config, len(data.train.lengths), "pieces")
    if config.piece >= len(data.test.lengths):
        raise cli.UsageError(
            f"flag --piece: expected a number below {len(data.test.lengths)}, the test "
            f"pieces; got {config.piece}"
        )
    steps = int(data.test.lengths[config.piece])
    if config.prompt_steps > steps:
        raise cli.UsageError(
            f"flag --prompt_steps: expected at most {steps}, the steps of test piece "
            f"{config.piece}; got {config.prompt_steps}"
        )
    return data


def model(name: str, config: Config) -> SequenceTagger:
    """The network of a cell, of the size that the flags specify, with dropout."""
    cell = cells.named(name, KEYS, 2)
    try:
        features = piano_rolls.units(cell, config.parameters)
        if config.recurrent_dropout:
            cell = nets.recurrent_dropout(cell, config.recurrent_dropout)
    except ValueError as error:
        raise cli.UsageError(f"cell {name!r}: {error}") from error
    if config.input_dropout:
        cell = nets.input_dropout(cell, config.input_dropout)
    return SequenceTagger(cell, features, KEYS)


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name; those best in validation are scored."""
    data = load(config)
    test = tuple(map(jnp.asarray, data.test))
    rolls, lengths = test
    real = jnp.arange(rolls.shape[1] - 1)[None] < lengths[:, None] - 1

    def costs(outputs, targets):
        following, real = targets
        nats = optax.sigmoid_binary_cross_entropy(outputs[1], following).sum(axis=-1)
        return jnp.where(real, nats, 0)

    def network(net):
        inputs = rolls[:, :-1], None, lengths - 1
        targets = rolls[:, 1:], real

        def nll(params):
            return mean_nll(net, params, test)

        return linen(net, inputs, targets, costs, nll, "recurrent")

    kept = {name: network(model(name, config)) for name in config.cells}
    return kept | {best_name(name): network for name, network in kept.items()}


def best_name(cell: str) -> str:
    """Name of the network with the parameters best in validation."""
    return f"{cell}, best in validation"


def learn(
    name: str, net: SequenceTagger, data: Chorales, config: Config, results: Run
) -> CellResult:
    """Train one network per seed; keep the parameters best in validation."""
    train, valid, test = (tuple(map(jnp.asarray, part)) for part in data[:3])

    def probe(params):
        costs = mean_nll(net, params, train), mean_nll(net, params, valid)
        return *costs, params

    params = piano_rolls.start(net, data.train, config.seeds)
    fitted = training.train(
        lambda params, batch, key: mean_nll(net, params, batch, key),
        params,
        train,
        config,
        results,
        title=name,
        labels={"cell": name},
        schedule=optax.cosine_decay_schedule(1.0, config.steps),
        probe=probe,
        probe_every=config.probe_every,
    )
    assert fitted.probes is not None
    last = jax.jit(lambda params: jax.lax.map(probe, params))(fitted.params)
    steps = np.append(fitted.probes.steps, config.steps)
    on_train, on_valid, kept = jax.tree.map(
        lambda earlier, last: np.concatenate([earlier, np.asarray(last)[None]]),
        fitted.probes.values,
        last,
    )
    best_probe = on_valid.argmin(axis=0), np.arange(len(config.seeds))
    best = jax.tree.map(lambda leaf: jnp.asarray(leaf[best_probe]), kept)
    results.keep(best_name(name), config.steps, config.seeds, best)
    evaluate = jax.jit(lambda p: jax.lax.map(lambda p: mean_nll(net, p, test), p))
    study = CellResult(
        cell=name,
        features=net.features,
        parameters=sum(leaf[0].size for leaf in jax.tree.leaves(best)),
        steps=steps,
        train=on_train,
        valid=on_valid,
        test=np.asarray(evaluate(best)),
        params=best,
        milliseconds=1e3 * fitted.seconds_per_step,
    )
    log(study, config, results)
    return study


def log(study: CellResult, config: Config, results: Run) -> None:
    """Log one row per seed, and one row per probe of it."""
    sizes = {"features": study.features, "parameters": study.parameters}
    for i, seed in enumerate(config.seeds):
        labels = {"cell": study.cell, "seed": seed}
        for step, *costs in zip(
            study.steps, study.train[:, i], study.valid[:, i], strict=True
        ):
            costs = dict(zip(("train_nll", "valid_nll"), costs, strict=True))
            results.log(kind="look", **labels, step=int(step), **costs)
        results.log(
            kind="nll",
            **labels,
            **sizes,
            best_step=int(study.best_step[i]),
            valid_nll=study.best_valid[i],
            test_nll=study.test[i],
        )


def as_published(data: Chorales, config: Config) -> bool:
    """Whether the data, the networks and their training are as published."""
    flags = "parameters", "input_dropout", "recurrent_dropout"
    return data.as_published and published.as_default(config, *flags)


def compare(studies: list[CellResult], results: Run) -> None:
    """Log the comparison of each cell with its published loss."""
    for study in studies:
        if study.cell in claims.BAI:
            number = Published(
                f"JSB chorales, {study.cell}, nats per step",
                claims.BAI[study.cell],
                "Bai, Kolter and Koltun 2018",
                claims.TOLERANCE,
            )
            published.log(results, number, study.test)


def continue_piece(
    study: CellResult, net: SequenceTagger, test: Pieces, config: Config
) -> Continuation:
    """Continue the start of a test piece with the first seed's network."""
    prompt = test.rolls[config.piece, : config.prompt_steps]
    sampled = piano_rolls.sample(
        net,
        jax.tree.map(lambda leaf: leaf[0], study.params),
        jnp.asarray(prompt),
        jax.random.fold_in(jax.random.key(config.seeds[0]), SAMPLED),
        config.generated_steps,
        config.temperature,
    )
    roll = np.concatenate([prompt, np.asarray(sampled)]) == 1
    return Continuation(roll, config.prompt_steps, study.cell, config.piece)


def log_music(music: Continuation, config: Config, results: Run) -> None:
    """Log the keys that sound at each step of the continuation."""
    results.log(
        kind="continuation",
        cell=music.cell,
        seed=config.seeds[0],
        piece=music.piece,
        given=music.given,
        keys=[np.flatnonzero(step).tolist() for step in music.roll],
    )
