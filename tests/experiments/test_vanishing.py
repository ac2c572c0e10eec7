"""Gradients over depth and over time: exact facts, and the command from end to end."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

import nets
from experiments.harness.claims import INCONCLUSIVE
from experiments.harness.training import losses
from experiments.vanishing import claims, figures, networks
from experiments.vanishing import experiment as vanishing
from experiments.vanishing.measure import NetComparison, NetResult, compare_nets
from experiments.vanishing.networks import INITIALIZERS
from nets import blocks, flow
from nets.initializers import Weights

TINY = ["--depth=4", "--widths=5", "--trained_width=5", "--steps=2", "--seeds=0,1"]
XS = jax.random.uniform(jax.random.key(0), (7, 64))
LABELS = jnp.arange(7)
BY_NAME = {net.name: net for net in networks.all_nets(4)}


@pytest.fixture
def run(launched):
    return partial(launched, vanishing)


FEW = ["feed-forward tanh", "Elman tanh"]  # to be trained: each takes seconds
CONTROLS = [networks.ONE_MATRIX, networks.MATRIX_PER_STEP]


@pytest.mark.slow
def test_nets_are_measured_and_those_that_can_be_are_trained(
    run, tmp_path, monkeypatch
):
    assert {*BY_NAME} == {*figures.COMPARED, *CONTROLS}
    assert all(
        (net.logits is None) == (name in CONTROLS) for name, net in BY_NAME.items()
    )
    tried = [
        net if net.name in FEW else net._replace(logits=None)
        for net in BY_NAME.values()
    ]
    monkeypatch.setattr(vanishing, "all_nets", lambda *sizes: tried)
    flags = ["--inits=torch,he", "--trained_inits=he", "--feed_forward_rate=0"]
    flags.append("--results=out")
    code, out, err = run(*TINY, *flags)
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    names = {"config.json", "metrics.jsonl", "checkpoints", "report.html"}
    names |= {"vanishing.png", "rates.png"}
    assert files(folder) == names
    gradients = rows(folder, "gradient")
    places = {(r["net"], r["init"], r["width"], r["when"]) for r in gradients}
    trained = {place[:3] for place in places if place[3] == "after"}
    assert trained == {(name, "he", 5) for name in FEW}
    assert len(places) == 8 * 2 + 2 and len(gradients) == 2 * len(places)
    for row in gradients:
        line = np.array(row["log_norm"])
        assert len(line) == 4
        slope = np.polyfit(np.arange(4), line, 1)[0]
        np.testing.assert_allclose(row["decay"], slope, atol=1e-5)
    reached = rows(folder, "accuracy")
    assert len(reached) == 4 and all(0 <= r["test_accuracy"] <= 1 for r in reached)
    assert {row["net"] for row in rows(folder, "training")} == {
        name for name, *_ in trained
    }

    measured = {
        (r["net"], r["init"], r["width"], r["when"], r["seed"]): r["log_norm"]
        for r in gradients
    }
    for name in FEW:  # one at a rate of 0, the other not
        where = name, "he", 5
        moved = not np.allclose(
            measured[(*where, "before", 0)], measured[(*where, "after", 0)], atol=1e-4
        )
        assert moved == ("feed-forward" not in name)

    # One case, measured again.
    net, seed = BY_NAME["Elman tanh"], 1
    params = net.init(
        jax.random.fold_in(jax.random.key(seed), 0), INITIALIZERS["torch"], 5
    )
    test = vanishing.digits.load()[1]
    xs = jnp.asarray(test.images[:128].reshape(-1, 64))
    line = net.log_norms(params, xs, jnp.asarray(test.labels[:128]))
    where = net.name, "torch", 5, "before", seed
    np.testing.assert_allclose(measured[where], line, atol=1e-4)
    texts = [row["text"] for row in rows(folder, "claim")]
    assert len(texts) >= 5 and texts[0].startswith(
        "Before training, gradients vanish faster in"
    )
    assert all(f"{claim}: " in out for claim in texts)


@pytest.mark.slow
def test_the_gradient_by_layer_is_that_of_depth_gradients():
    net = BY_NAME["feed-forward ReLU"]
    params = net.init(jax.random.key(3), INITIALIZERS["torch"], 8)
    layer, head = blocks.dense(8), blocks.dense(10, activation=None)
    hidden = [jax.tree.map(lambda p, i=i: p[i], params.hidden) for i in range(4)]
    loss, gradients = flow.depth_gradients(
        [layer] * 5 + [head],
        [params.first, *hidden, params.head],
        XS,
        lambda logits: losses(logits, LABELS).sum(),
    )
    expected = jnp.median(flow.depth_log_norms(gradients[2:-1]), axis=1)
    np.testing.assert_allclose(
        net.log_norms(params, XS, LABELS), expected, rtol=1e-5, atol=1e-5
    )
    assert net.logits is not None
    total = losses(net.logits(params, XS), LABELS).sum()
    np.testing.assert_allclose(total, loss, rtol=1e-5)


def test_one_matrix_in_every_step_is_elmans_net():
    elman, per_step = BY_NAME["Elman tanh"], BY_NAME["Elman tanh, one matrix per step"]
    params = elman.init(jax.random.key(1), INITIALIZERS["orthogonal"], 8)
    steps, head = per_step.init(jax.random.key(2), INITIALIZERS["orthogonal"], 8)
    assert not np.allclose(steps.w_h[0], steps.w_h[1])
    same = jax.tree.map(
        lambda p: jnp.broadcast_to(p, (4, *p.shape)), params["recurrent"]["cell"]
    )
    head = head._replace(w=params["dense"]["kernel"], b=params["dense"]["bias"])
    np.testing.assert_allclose(
        per_step.log_norms((same, head), XS, LABELS),
        elman.log_norms(params, XS, LABELS),
        rtol=1e-5,
        atol=1e-5,
    )


def test_layers_and_steps_are_drawn_by_one_law():
    layers = BY_NAME["feed-forward tanh"].init(
        jax.random.key(0), INITIALIZERS["torch"], 64
    )
    cell = nets.elman(init=INITIALIZERS["torch"]).init(jax.random.key(1), 16, 64)
    shared = BY_NAME["feed-forward tanh, one matrix"]
    tied = shared.init(jax.random.key(0), INITIALIZERS["torch"], 64)
    np.testing.assert_array_equal(tied.hidden.w[3], tied.hidden.w[0])
    for drawn in (layers.hidden.w, cell.w_h):  # U(-1/8, 1/8)
        assert abs(drawn).max() <= 1 / 8
        np.testing.assert_allclose(drawn.std() * 8, 3**-0.5, rtol=0.05)
    for name, variance in (("lecun", 1), ("he", 2)):
        w = INITIALIZERS[name](jax.random.key(0), 16, 64, "ifgo").w_h
        np.testing.assert_allclose(w.var() * 64, variance, rtol=0.05)
    w = BY_NAME["feed-forward tanh"].init(
        jax.random.key(0), INITIALIZERS["orthogonal"], 8
    )
    np.testing.assert_allclose(w.hidden.w[2] @ w.hidden.w[2].T, np.eye(8), atol=1e-5)


def half(key, inputs, features, gates, hidden=None):
    """Half the identity, so that a linear layer halves a gradient exactly."""
    w_i, w_h = (jnp.eye(n, len(gates) * features) / 2 for n in (inputs, hidden))
    zeros = jnp.zeros(len(gates) * features)
    return Weights(w_i, w_h, zeros, zeros)


@pytest.mark.parametrize("name", ["feed-forward", "one matrix"])
def test_a_layer_that_halves_has_a_decay_of_ln_2(name):
    net = networks.feed_forward(lambda ys: ys, 4, "linear")
    net = networks.one_matrix(net) if name == "one matrix" else net
    line = net.log_norms(net.init(jax.random.key(0), half, 8), XS, LABELS)
    np.testing.assert_allclose(np.diff(line), np.log(2), atol=1e-5)


def of(net, *rates, when="before", init="he"):
    lines = np.array(rates)[:, None] * np.arange(5.0)
    return NetResult(net, init, 8, when, lines)


SAID = [
    ((0.5, 0.51, 0.52), (0.1, 0.11, 0.09), "supported"),
    ((0.1, 0.11, 0.09), (0.5, 0.51, 0.52), "refuted"),
    ((0.1, 0.9, 0.5), (0.5, 0.1, 0.9), "inconclusive"),
    ((-0.10, -0.11, -0.09), (-0.5, -0.51, -0.52), "refuted"),  # it grows
    ((0.5,), (0.1,), "inconclusive"),
]


@pytest.mark.parametrize(("first", "second", "outcome"), SAID)
def test_a_pair_is_judged_over_its_seeds(first, second, outcome):
    pair = NetComparison(of("Elman tanh", *first), of("feed-forward tanh", *second))
    assert pair.outcome == outcome


def test_claims_name_the_cases_in_which_they_hold():
    fast, slow = (0.5, 0.51, 0.52), (0.1, 0.11, 0.09)
    results = [
        of("Elman tanh", *fast),
        of("feed-forward tanh", *slow),
        of("Elman tanh", *slow, init="torch"),
        of("feed-forward tanh", *fast, init="torch"),
        of("feed-forward tanh, one matrix", 0.1, 0.2, 0.0),
        of("Elman tanh, one matrix per step", 0.50, 0.51, 0.52),
        of("LSTM", *slow),
    ]
    by_subject = {
        claim.text.split(",")[0]: claim for claim in claims.evaluate_claims(results)
    }
    worse = by_subject["Before training"]
    assert worse.outcome == "partly supported"
    assert worse.counted_outcome == "partly supported (1 of 2 cases)"
    supported, refuted = worse.cases
    assert supported.name == "Elman tanh from he, 8 units"
    assert supported.value.startswith("0.510 - 0.100 = +0.410 [")
    assert refuted.name == "Elman tanh from torch, 8 units"
    assert refuted.value.startswith("0.100 - 0.510 = -0.410 [")
    assert [case.outcome for case in worse.cases] == ["supported", "refuted"]
    assert "After training" not in by_subject
    lstm = by_subject["The gradient of the LSTM vanishes more slowly than Elman's"]
    assert lstm.outcome == "supported"
    # Deviations of 0.1 and of 0.01 once, and once the same.
    spread = by_subject[
        "The decay rate varies more over seeds with one matrix for all steps than with "
        "one matrix per step"
    ]
    assert spread.outcome == INCONCLUSIVE
    assert spread.cases[0].value.startswith("3.2 [")


def test_a_dead_net_is_reported_without_a_gradient():
    dead = NetResult("Elman ReLU", "he", 8, "after", np.full((2, 5), -np.inf))
    live = of("feed-forward ReLU", 0.1, 0.2, when="after")
    claim = claims.evaluate_claims([dead, live, *SHARED])[0]
    assert claim.outcome == "inconclusive"
    assert [case.value for case in claim.cases] == ["no gradient"]
    assert [claims.matched_table([dead, live]).rows[0][i] for i in (2, 4)] == [
        "none"
    ] * 2


def test_nets_that_learned_nothing_are_named():
    fast, slow = (0.5, 0.51, 0.52), (0.1, 0.11, 0.09)
    elman = of("Elman tanh", *fast, when="after")._replace(accuracy=np.full(3, 0.7))
    layers = of("feed-forward tanh", *slow, when="after")
    good, bad = (layers._replace(accuracy=np.array([0.9, 0.9, a])) for a in (0.9, 0.1))
    names = [("Elman tanh", "feed-forward tanh")]
    (pair,) = compare_nets([elman, good], "after", names)
    assert pair.outcome == "supported"
    assert compare_nets([elman, bad], "after", names) == []
    assert claims.untrained_findings([elman, good]) == []
    (sentence,) = claims.untrained_findings([elman, bad])
    assert sentence.endswith("nothing: feed-forward tanh from he (decay +0.100).")
    title = figures.title([elman, bad], 8, ["he"])
    assert title.endswith("Trained: from he the layers learn nothing")
    assert figures.title([elman, good], 8, ["he"]).endswith("yes from he")


def test_causes_are_judged_separately():
    fast, slow = (0.5, 0.51, 0.52), (0.1, 0.11, 0.09)
    nets_of = {
        "Elman tanh": fast,
        "Elman tanh, one matrix per step": fast,
        "feed-forward tanh": slow,
        "feed-forward tanh, one matrix": slow,
    }
    results = [of(net, *rates) for net, rates in nets_of.items()]
    outcomes = [claim.outcome for claim in claims.evaluate_claims(results)]
    # Of one matrix: the differences are 0 of every seed; of reading in turn: 0.4.
    assert outcomes[:3] == ["supported", "inconclusive", "supported"]


def test_of_many_pairs_each_interval_is_wider():
    results = [
        of(net, *rates, init=init)
        for init in ("he", "torch")
        for net, rates in (("Elman tanh", (1, 2, 3)), ("feed-forward tanh", (0, 0, 0)))
    ]
    (pair, _) = compare_nets(results, "before", [("Elman tanh", "feed-forward tanh")])
    # Student's t of 2 degrees of freedom at 0.9875, by a table: 6.205.
    np.testing.assert_allclose(pair.difference.low, 2 - 6.205 / 3**0.5, atol=1e-3)
    assert pair.outcome == "inconclusive"


SHARED = [of("feed-forward tanh", 1.0, 2.0), of("feed-forward tanh, one matrix", 1, 3)]

MISTAKES = [
    ("--depth=5", "flag --depth: expected a divisor of 64, the pixels of a digit, of"),
    ("--depth=1", "flag --depth: expected a divisor of 64, the pixels of a digit, of"),
    (
        "--inits=glorot",
        "flag --inits: expected some of orthogonal, lecun, he, torc",
    ),
    (
        "--trained_inits=he",
        "flag --trained_inits: expected some of torch; got 'he'",
    ),
    (
        "--trained_width=7",
        "flag --trained_width: expected one of --widths, 5; got 7",
    ),
    (
        "--batch_size=899",
        "flag --batch_size: expected at most 898, the training digits",
    ),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    flags = ["--inits=torch", "--trained_inits=torch", "--results=out"]
    code, out, err = run(*TINY, *flags, flag)
    assert (code, out) == (2, "")
    assert err.startswith("vanishing: ") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
