"""MNIST-1D: the networks next to PyTorch's, the published numbers, and a run."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

from experiments import mnist1d
from experiments.harness import published as comparisons
from experiments.harness import training
from experiments.harness.published import Published, compare
from experiments.mnist1d import (
    claims,
    config,
    conversion,
    experiment,
    measure,
    networks,
    ratios,
)
from experiments.mnist1d.measure import ModelResult
from experiments.mnist1d.speed import Timed

XS = jax.random.normal(jax.random.key(7), (3, 40, 1))
LABELS = jnp.array([3, 0, 9])
SIZES = {
    "linear": 410,
    "mlp": 15_210,
    "cnn": 5_210,
    "gru": 5_134,
    "lstm": 5_242,
    "elman": 4_918,
}
POOL_SIZES = {"none": 9_310, "stride": 3_310, "max": 3_310, "mean": 3_310, "l2": 3_310}
NETWORKS = {
    **{name: networks.model for name in SIZES},
    **{pool: networks.with_pools for pool in POOL_SIZES},
}


@pytest.fixture
def run(launched):
    return partial(launched, mnist1d)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_published_numbers_of_parameters(name):
    module = NETWORKS[name](name).module
    assert training.count(module, XS[:1]) == (SIZES | POOL_SIZES)[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_equal_pytorch(name):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    from experiments.mnist1d import recipe

    module = NETWORKS[name](name).module
    params = jax.jit(lambda key: module.init(key, XS))(jax.random.key(1))["params"]
    loss_fn = training.loss_of(module)
    loss, gradient = jax.jit(jax.value_and_grad(loss_fn))(params, (XS, LABELS), None)
    peer = recipe.Model(name)
    recipe.load(peer, conversion.state_dict(name, params))
    assert sum(p.numel() for p in peer.parameters()) == (SIZES | POOL_SIZES)[name]
    theirs = torch.nn.functional.cross_entropy(
        peer(torch.tensor(np.asarray(XS[..., 0]))), torch.tensor(LABELS.tolist())
    )
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-5)
    ours = conversion.state_dict(name, gradient)
    for key, parameter in peer.named_parameters():
        wanted = np.asarray(parameter.grad)
        np.testing.assert_allclose(ours[key], wanted, rtol=1e-4, atol=1e-6)


def test_initial_parameters_have_the_bounds_of_pytorch():
    module = networks.model("gru").module
    params = jax.jit(lambda key: module.init(key, XS))(jax.random.key(0))["params"]
    arrays = conversion.state_dict("gru", params)
    for name, array in arrays.items():
        bound = 6**-0.5 if name.startswith("recurrent") else 480**-0.5
        assert 0.5 * bound < np.abs(array).max() <= bound


def test_cells_have_about_as_many_parameters_as_the_gru():
    for name, units in (("min_gru", 6), ("rwkv_7", 5), ("projected_lstm", 11)):
        model = networks.model(name)
        assert model.units == units
        count = training.count(model.module, XS[:1])
        assert count == networks._parameters(model.module.cell, units)
        assert abs(count - networks.PARAMETERS) < 500


@pytest.mark.parametrize("name", ["lru", "s5", "linoss", "d_linoss"])
def test_a_cell_without_a_nonlinearity_makes_a_linear_model(name):
    module: Any = networks.model(name).module
    variables = module.init(jax.random.key(0), XS)
    at_0, once, twice = (module.apply(variables, scale * XS) for scale in (0, 1, 2))
    np.testing.assert_allclose(twice - at_0, 2 * (once - at_0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["layer_norm_gru", "layer_norm_lstm"])
def test_layer_normalization_of_one_input_leaves_its_sign(name):
    module: Any = networks.model(name).module
    variables = module.init(jax.random.key(0), XS)
    large = jnp.sign(XS) * (100 + jnp.abs(XS))  # next to which epsilon is small
    np.testing.assert_allclose(
        module.apply(variables, large),
        module.apply(variables, 3 * large),
        rtol=1e-3,
        atol=1e-4,
    )


def test_all_is_every_model_and_cell_of_vectors():
    every = config.names(mnist1d.Config(models=["all", "gru"]))
    assert len(every) == len(set(every)) and every[:3] == ["linear", "mlp", "cnn"]
    assert {"gru", "mamba", "m2rnn"} < set(every) and "conv_lstm" not in every


def test_the_pooling_table_has_its_own_sequences():
    train, test = measure.load(pooled=True)
    whole, _ = measure.load()
    assert train[0].shape == test[0].shape == (1000, 40, 1)
    assert whole[0].shape == (4000, 40, 1)
    assert not np.array_equal(whole[0][:1000], train[0])


def test_a_published_number_is_compared_by_the_mean():
    number = Published("GRU", 90.0, "a paper", 2.0, "%")
    near, far = compare(number, [91.0, 92.5], 3.0), compare(number, [93.0])
    assert near["within"] and not far["within"]
    assert (near["deviation"], near["seeds"], near["seconds"]) == (1.75, 2, 3.0)
    assert compare(number._replace(tolerance=None), [93.0])["within"] is None


def result(name, accuracy):
    values = np.array(accuracy, float)
    return ModelResult(name, 6, 5000, values, np.array([0]), values[:, None], 2.0)


def test_claims_are_judged_by_the_published_numbers():
    models = [
        result("linear", [31.5, 31.6, 31.4]),
        result("mlp", [60.0, 60.1, 60.2]),
        result("cnn", [93.0, 93.1, 92.9]),
        result("gru", [89.0, 89.2, 89.1]),
        result("elman", [70.0, 71.0, 72.0]),
    ]
    readme, notebook, *others = claims.evaluate_claims(models, as_published=True)
    assert [case.outcome for case in notebook.cases] == [
        "supported",
        "refuted",
        "supported",
        "supported",
    ]
    assert readme.counted_outcome == "partly supported (1 of 4 cases)"
    assert [claim.outcome for claim in others] == ["supported"] * 3
    assert claims.evaluate_claims(models, as_published=False) == others
    assert claims.reproduced(models) == ["linear", "cnn", "gru"]
    assert claims.answer(models, as_published=True).startswith(
        "3 of 4 accuracies of the authors' notebook"
    )
    table = claims.table(models)
    within = [row[table.header.index("within")] for row in table.rows]
    assert within == ["yes", "no", "yes", "yes", "-"]


def test_pools_are_compared_with_none_and_with_strides():
    pools = {"none": 59.0, "stride": 57.0, "max": 78.0}
    results = [result(f"pool {k}", [v, v + 1, v + 2]) for k, v in pools.items()]
    (claim,) = claims.pool_claims(results)
    assert claim.outcome == "supported" and len(claim.cases) == 2
    assert "is 19 to 21 points more accurate" in claims.pool_answer(results)
    assert claims.pool_table(results).rows[2][4:6] == ["78.2", "+0.8"]


def test_the_recipe_is_extrapolated_to_all_steps_and_seeds():
    timed = Timed("gru", 1, 100, np.array([2.0]), np.array([80.0]), 1e-7)
    models = [result("gru", [90.0] * 3)]
    table = ratios.speed_table(models, [timed], 6000, 3)
    assert [row[:4] for row in table.rows] == [
        ["gru", "2.0", "360.0", "180.0"],
        ["all", "2.0", "360.0", "180.0"],
    ]
    assert ratios.speed_claim(models, [timed], 6000, 3).outcome == "supported"
    assert ratios.speed_claim(models, [timed], 100, 3).outcome == "refuted"


SMALL = ["--models=linear,min_gru", "--seeds=0,1", "--steps=3", "--probe_every=2"]


def test_a_run_compares_with_published_numbers(run, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "POOLS", ("stride",))
    monkeypatch.setattr(comparisons, "TRAINING", ())  # as if 3 steps were the default
    code, out, err = run(*SMALL, "--results=small")
    assert (code, err) == (0, "")
    folder = tmp_path / "small"
    assert {"mnist1d.png", "pooling.png", "report.html"} <= files(folder)
    published = rows(folder, "published")
    assert [row["setting"] for row in published] == [
        *["MNIST-1D, linear model"] * 2,
        "MNIST-1D, 1,000 sequences, pool stride",
    ]
    assert published[0]["published"] == 32 and published[0]["within"] is False
    logged = rows(folder, "accuracy")
    assert len(logged) == 6 and logged[0]["steps"] == [0, 2, 3]
    mean = np.mean([100 * row["test_accuracy"] for row in logged[:2]])
    assert published[0]["measured"] == pytest.approx(mean)
    assert "0 of 1 accuracies of the authors' notebook are reproduced" in out


def test_a_shorter_training_is_not_compared(run, tmp_path):
    few = ["--models=linear", "--nopooling", "--seeds=0,1", "--steps=3"]
    code, out, err = run(*few, "--results=short")
    assert (code, err) == (0, "")
    assert rows(tmp_path / "short", "published") == []
    assert "reproduced" not in out and "are no comparison" in out


def test_the_recipe_is_timed_after_equal_numbers(run, tmp_path):
    pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    few = ["--models=linear", "--nopooling", "--seeds=0,1", "--steps=3"]
    code, out, err = run(*few, "--recipe_steps=-1", "--results=timed")
    assert (code, err) == (0, "")
    (row,) = rows(tmp_path / "timed", "recipe")
    assert row["steps"] == 3 and len(row["seconds"]) == 2
    assert row["difference"] < 1e-5 and "times as fast as the authors' recipe" in out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--models=nothing"], "unknown cell 'nothing'"),
        (["--batch_size=2000"], "expected at most 1000"),
        (["--recipe_steps=5", "--batch_size=50"], "expected --batch_size=100 with it"),
        (
            ["--recipe_steps=5", "--models=lru"],
            "expected one of the models linear, mlp",
        ),
    ],
)
def test_mistakes_are_refused(run, flags, sentence):
    code, _, err = run(*flags)
    assert code == 2 and sentence in err
