"""Many to one: through the command line, and on made-up numbers."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import LEAKY, files, rows

import nets
from experiments.classify_sequences import claims, figures
from experiments.classify_sequences import experiment as classify_sequences
from experiments.classify_sequences.measure import ModelResult, known_accuracy
from experiments.classify_sequences.networks import (
    ALL,
    BOTH,
    END,
    INPUTS,
    LINEAR,
    SMALL,
    AllOutputs,
    largest_bidirectional,
)
from experiments.harness import training
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.harness.training import logits
from nets.models import SequenceClassifier
from train.data import digits

TINY = ["--features=4", "--steps=3", "--batch_size=4", "--probe_every=2"]


@pytest.fixture
def run(launched, tmp_path):
    (tmp_path / "mycells.py").write_text(LEAKY.format(keep=0.9))
    return partial(launched, classify_sequences)


@pytest.mark.slow
def test_digits_are_read_from_both_ends(run, tmp_path):
    flags = ["--cells=elman", "--bidirectional", "--seeds=0,1", "--results=out"]
    code, out, err = run(*TINY, *flags)
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    pictures = {"classify_sequences.png", "confusions.png"}
    assert files(folder) == {
        *("config.json", "metrics.jsonl", "checkpoints", "report.html"),
        *pictures,
    }
    page = (folder / "report.html").read_text()
    assert "hollow" not in page  # no result of 4 units is known elsewhere
    assert page.count("<img ") == 2 and "<h1>Is one vector at the end enough" in page

    models = {row["way"]: row for row in rows(folder, "model")}
    assert list(models) == [INPUTS, END, BOTH, SMALL, ALL]
    cell, dense = (8 + 4 + 1) * 4, 10
    assert models[INPUTS]["parameters"] == (64 + 1) * 10
    assert models[END]["parameters"] == cell + (4 + 1) * dense
    assert models[BOTH]["parameters"] == 2 * cell + (2 * 4 + 1) * dense
    assert models[ALL]["parameters"] == 2 * cell + (8 * 2 * 4 + 1) * dense
    assert models[SMALL]["parameters"] <= models[END]["parameters"]
    assert all(models[way]["known"] is None for way in models)  # of 64 units

    train, test = digits.load()
    accuracies = rows(folder, "accuracy")
    assert len(accuracies) == 5 * 2
    for row in accuracies:
        table = np.array(row["confusion"])
        assert (table.sum(axis=1) == np.bincount(test.labels)).all()
        assert row["test_accuracy"] == pytest.approx(np.trace(table) / 899)
        assert row["steps"] == [0, 2, 3] and row["curve"][-1] == row["test_accuracy"]
    (majority,) = rows(folder, "majority")
    most = np.bincount(train.labels).argmax()
    assert majority["test_accuracy"] == np.mean(test.labels == most)
    assert f"{100 * majority['test_accuracy']:.1f}" in out

    # The curve begins where the net does.
    model = SequenceClassifier(nets.elman(), 4, 10)
    params = training.start(model, jnp.asarray(train.images[:1]), [0, 1])
    for seed in (0, 1):
        of_seed = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)
        scores = jax.jit(logits, static_argnums=0)(model, of_seed, test.images)
        (row,) = (r for r in accuracies if (r["way"], r["seed"]) == (END, seed))
        right = np.argmax(np.asarray(scores), axis=1) == test.labels
        assert row["curve"][0] == pytest.approx(right.mean(), abs=2 / 899)

    judged = rows(folder, "claim")
    assert len(judged) == 4 and all(row["text"] in out for row in judged)


@pytest.mark.slow
def test_a_user_cell_reads_mnist1d(run, tmp_path):
    flags = ["--data=mnist1d", "--cells=mycells:leaky", "--seeds=0", "--results=out"]
    code, _, err = run(*TINY, *flags)
    assert (code, err) == (0, "")
    models = {(r["cell"], r["way"]): r for r in rows(tmp_path / "out", "model")}
    name = "mycells:leaky"
    assert list(models) == [(LINEAR, INPUTS), (name, END), (name, ALL)]
    assert models[LINEAR, INPUTS]["known"] == 32  # as published
    assert models[LINEAR, INPUTS]["parameters"] == 410
    assert models[name, ALL]["parameters"] == 4 + (40 * 4 + 1) * 10
    assert rows(tmp_path / "out", "majority")[0]["test_accuracy"] < 0.2
    outcomes = [row["outcome"] for row in rows(tmp_path / "out", "claim")]
    assert outcomes == [INCONCLUSIVE] * 3  # one seed has no interval
    page = (tmp_path / "out" / "report.html").read_text()
    assert "hollow: as published by Greydanus and Kobak" in page
    assert "nets of one seed" in page and "1 seeds" not in page


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_the_linear_model_has_a_separate_rate(run, tmp_path):
    losses = {}
    for rate in ("0", "1"):
        flags = ["--cells=elman", "--seeds=0", f"--linear_rate={rate}", *TINY]
        assert run(*flags, f"--results={rate}")[0] == 0
        accuracies = rows(tmp_path / rate, "accuracy")
        losses[rate] = {
            row["way"]: np.round(row["curve"], 6).tolist() for row in accuracies
        }
    assert losses["0"][END] == losses["1"][END]
    assert len(set(losses["0"][INPUTS])) == 1 < len(set(losses["1"][INPUTS]))
    assert "(linear model 1)" in (tmp_path / "1" / "report.html").read_text()
    assert run("--help")[1].count("--linear_rate=0.01") == 1


@pytest.mark.parametrize("bidirectional", [False, True])
def test_all_outputs_hold_the_last(bidirectional):
    time, units = 5, 3
    last = SequenceClassifier(nets.gru(), units, 10, bidirectional)
    xs = jax.random.normal(jax.random.key(0), (4, time, 2))
    params = last.init(jax.random.key(1), xs)["params"]
    kernel = params["dense"]["kernel"]
    wide = jnp.zeros((time, (1 + bidirectional) * units, 10))
    wide = wide.at[-1, :units].set(kernel[:units])  # the end of who reads forward
    wide = wide.at[0, units:].set(kernel[units:])  # and of who reads backward
    dense = {**params["dense"], "kernel": wide.reshape(-1, 10)}
    every = AllOutputs(nets.gru(), units, 10, bidirectional)
    result = logits(every, {**params, "dense": dense}, xs)
    np.testing.assert_allclose(result, logits(last, params, xs), atol=1e-6)


@pytest.mark.parametrize("name", ["elman", "gru"])
def test_the_small_net_has_as_many_units_as_it_may(name):
    cell, example = nets.CELLS[name](), jnp.zeros((1, 8, 8))
    count = partial(training.count, example=example)
    end = SequenceClassifier(cell, 9, 10)
    small = largest_bidirectional(cell, end, example)
    one_more = SequenceClassifier(cell, small.features + 1, 10, bidirectional=True)
    assert small.bidirectional and count(small) <= count(end) < count(one_more)


KNOWN = [
    (("digits", "pixels", "lstm", END, 64, False), 78.6),
    (("digits", "rows", "lstm", END, 63, False), None),
    (("digits", "rows", "lstm", END, 64, True), None),
    (("digits", "rows", "lstm", BOTH, 64, True), None),
    (("digits", "rows", "mgu", END, 64, False), None),
    (("mnist1d", "rows", "gru", ALL, 6, True), 91),
    (("mnist1d", "rows", "gru", ALL, 64, True), None),
    (("mnist1d", "rows", "gru", END, 6, False), None),
]


@pytest.mark.parametrize(("setting", "number"), KNOWN)
def test_known_accuracies_are_for_the_same_setting_only(setting, number):
    assert known_accuracy(*setting) == number


def read(cell, way, *accuracy, mistakes=0):
    confusion = np.stack([np.diag([10] * 3)] * len(accuracy))
    confusion[:, 2] += np.array([0, mistakes, -mistakes])
    final = np.array(accuracy)
    curve = np.stack([np.full(len(final), 0.1), final], axis=1)
    steps = np.array([0, 5])
    both = way in (BOTH, SMALL)
    return ModelResult(cell, way, 4, both, 9, final, steps, curve, confusion, 1.0, None)


BASE = read(LINEAR, INPUTS, 0.80, 0.81, 0.80)
GOOD = read("gru", END, 0.90, 0.91, 0.90)
POOR = read("elman", END, 0.70, 0.71, 0.70)
SPLIT = read("elman", END, 0.70, 0.91, 0.80)
SAME = read("gru", ALL, 0.90, 0.911, 0.901)
BETTER = read("gru", ALL, 0.95, 0.96, 0.951)
ENDS = [read("gru", way, 0.93, 0.94, 0.931) for way in (BOTH, SMALL)]
TINIER = read("gru", SMALL, 0.85, 0.86, 0.851)

CASES = [
    ([BASE, GOOD, SAME], [SUPPORTED, SUPPORTED, SUPPORTED]),
    ([BASE, GOOD, BETTER], [SUPPORTED, SUPPORTED, REFUTED]),
    (
        [BASE, GOOD, *ENDS, BETTER],
        [SUPPORTED, SUPPORTED, REFUTED, SUPPORTED],
    ),  # all of both
    (
        [BASE, GOOD, ENDS[0], TINIER, SAME],
        [SUPPORTED, SUPPORTED, SUPPORTED, PARTLY_SUPPORTED],
    ),
    (
        [BASE, read("gru", END, 0.9), read("gru", ALL, 0.9)],
        [INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE],
    ),
]


@pytest.mark.parametrize(("reads", "outcomes"), CASES)
def test_each_claim_is_judged_by_its_interval(reads, outcomes):
    if len(reads[1].accuracy) == 1:
        reads = [read(LINEAR, INPUTS, 0.8), *reads[1:]]
    judged = claims.evaluate_claims(reads, majority=0.1)
    assert [claim.outcome for claim in judged] == outcomes
    sizes = "gru, 9 parameters against 9"
    assert judged[2].cases[0].name == sizes
    if claims.by_cell(reads, SMALL):
        assert judged[-1].cases[-1].name == sizes


def test_cells_may_differ():
    last = [GOOD, POOR]
    every = [SAME, read("elman", ALL, 0.70, 0.711, 0.701)]
    judged = claims.evaluate_claims([BASE, *last, *every], majority=0.1)
    assert [claim.outcome for claim in judged] == [
        SUPPORTED,
        PARTLY_SUPPORTED,
        SUPPORTED,
    ]
    assert ("gru", "+10.0 [+10.0, +10.0]", SUPPORTED) in judged[1].cases
    low = claims.evaluate_claims([BASE, GOOD, SAME], majority=0.95)
    assert low[0].outcome == REFUTED


TITLES = [
    (
        [BASE, GOOD, SAME],
        "better than a linear model of the whole sequence:\ngru 90; linear 80 %",
    ),
    (
        [BASE, POOR],
        "worse than a linear model of the whole sequence:\nelman 70; linear 80 %",
    ),
    ([BASE, SPLIT], "For no cell does the last output reliably classify better than"),
    (
        [BASE, SPLIT, POOR._replace(cell="lstm")],
        "For no cell does the last output reliably",
    ),
    (
        [BASE, read("gru", END, 0.81, 0.83, 0.811)],
        "For no cell does the last output reliably",
    ),
    (
        [BASE, GOOD, SPLIT],
        "Only the last output of gru classifies better than a linear",
    ),
]


@pytest.mark.parametrize(("reads", "words"), TITLES)
def test_the_title_agrees_with_the_claim(reads, words):
    title = figures.title(reads)
    assert words in title
    judged = claims.evaluate_claims([*reads, SAME._replace(cell=reads[1].cell)], 0.1)
    sure = {
        SUPPORTED: "The last output classifies better",
        PARTLY_SUPPORTED: "Only the last output",
    }
    unsure = "The last output classifies worse", "For no cell does the last output"
    assert title.startswith(sure.get(judged[1].outcome, unsure))
    assert (judged[1].outcome in sure) == (
        "classifies better" in title and "no cell" not in title
    )
    figures.draw(reads, 0.1, "caption")
    claims.table(reads, 0.1).text()


CAPTIONS = [
    (78.6, "hollow: PyTorch's cells of 64 units, measured on the same data."),
    (None, "Right: mean over seeds and its 95 % interval."),
]


@pytest.mark.parametrize(("known", "words"), CAPTIONS)
def test_the_caption_names_the_source_of_known_accuracies(known, words):
    config = classify_sequences.Config(seeds=[0, 1])
    data: Any = SimpleNamespace(setting="Digits as pixels")
    text = figures.caption([BASE, GOOD._replace(known=known)], 899, data, config)
    assert text.endswith(words)


def test_the_most_frequent_error_is_that_of_the_last_output():
    reads = [
        read("gru", END, 0.9, 0.9, mistakes=3),
        read("elman", END, 0.9, 0.9, mistakes=1),
        read("gru", ALL, 0.9, 0.9, mistakes=9),
    ]
    words = figures.most_frequent_error(reads)
    assert words.endswith("20 % of the 2s are classified as 1")
    figures.draw_confusions(reads, 30)


MISTAKES = [
    ("--cells=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--cells=mycells:nothing", "has no attribute 'nothing'"),
    ("--data=cifar", "flag --data: expected digits, mnist1d, or a file or folder"),
    ("--order=columns", "flag --order: expected one of pixels, rows; got"),
    ("--features=1", "flag --features=1: "),
    ("--probe_every=0", "flag --probe_every=0: "),
    ("--batch_size=899", "flag --batch_size: expected at most 898, the training dig"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("classify_sequences: ") and sentence in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"mycells.py", "__pycache__"}
