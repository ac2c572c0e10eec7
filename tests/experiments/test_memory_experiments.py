"""Adding, copy memory and temporal order; the network of 1997."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import TINY, rows
from matplotlib.backends.backend_agg import FigureCanvasAgg

import nets
from experiments import adding, copy_memory, temporal_order
from experiments.adding.references import REFERENCES as ADDING
from experiments.copy_memory.references import REFERENCES as COPY
from experiments.harness.long_memory import tasks, trainings
from experiments.harness.long_memory.claims import LOSS
from experiments.harness.long_memory.tasks import TASKS
from experiments.harness.saved import open_run
from experiments.temporal_order import figures, networks
from experiments.temporal_order.references import REFERENCES as ORDER

EXPERIMENTS = {
    "adding": adding,
    "copy_memory": copy_memory,
    "temporal_order": temporal_order,
}
TASK = TASKS["temporal_order"]


def test_the_network_of_1997_has_156_weights():
    params = networks.start(TASK, networks.LENGTH, [5, 6])
    sizes = [leaf[0].size for leaf in jax.tree.leaves(params)]
    assert sum(sizes) == 156
    for leaf in jax.tree.leaves(params):
        assert not np.allclose(leaf[0], leaf[1])
    cell = params["recurrent"]["cell"]
    np.testing.assert_array_equal(cell.b[:, :2], [[-2, -4]] * 2)
    free = [cell.w, cell.b[:, 2:], *params["dense"].values()]
    assert max(float(jnp.abs(leaf).max()) for leaf in free) <= 0.1
    assert min(float(leaf.std()) for leaf in free) > 0.02


def test_the_network_of_task_6b_has_308_weights():
    params = networks.memory_blocks(3, 2).init(jax.random.key(0), 8, 6)
    assert sum(leaf.size for leaf in params) + 8 * (6 + 1) == 308
    assert params.b[:3].tolist() == [-2, -4, -6]


def test_a_step_is_that_of_the_equations():
    cell = networks.memory_blocks()
    params = cell.init(jax.random.key(0), 8, 4)
    rng = np.random.default_rng(0)
    x, gates, hidden, content = (rng.normal(size=n) for n in (8, 4, 4, 4))
    state = networks.BlocksState(*map(jnp.asarray, (gates, hidden, content)))
    after, y = cell.step(params, state, jnp.asarray(x))
    w, b = (np.asarray(leaf, float) for leaf in params)
    units = np.concatenate([x, gates, hidden]) @ w + b
    logistic = 1 / (1 + np.exp(-units))
    i, o = logistic[[0, 0, 1, 1]], logistic[[2, 2, 3, 3]]
    expected = content + i * (4 * logistic[4:] - 2)
    np.testing.assert_allclose(after.cell, expected, rtol=1e-5)
    output = o * (2 / (1 + np.exp(-expected)) - 1)
    np.testing.assert_allclose(y, output, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after.hidden, y)
    np.testing.assert_allclose(after.gates, logistic[:4], rtol=1e-5)


def test_the_gradient_flows_back_along_the_cells_only():
    cell = networks.memory_blocks()
    params = cell.init(jax.random.key(0), 8, 4)
    xs = jax.random.normal(jax.random.key(1), (6, 8))
    state = cell.initial_state(params, xs[0])
    jacobian = jax.jacobian(lambda state: nets.unroll(cell, params, xs, state)[0].cell)(
        state
    )
    np.testing.assert_array_equal(jacobian.cell, np.eye(4))
    assert not jacobian.gates.any() and not jacobian.hidden.any()


def test_a_sequence_is_wrong_if_an_output_is():
    params = networks.start(TASK, 11, [0])
    params = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), params)
    _, labels = tasks.held_out(TASK, 11)
    share = networks.wrong(TASK, 11, "")
    assert share(params) == 1  # all outputs are 0.5
    params["dense"]["bias"] = jnp.array([3.0, -3, -3, -3])
    assert share(params) == pytest.approx(np.mean(np.asarray(labels) != 0))


def test_the_figure_of_1997_has_its_label_within_the_axes():
    steps, wrong = np.array([500, 17_000]), np.array([[1.0, 0.5]])
    learned = networks.Original(steps, wrong, np.array([0]), np.zeros((1, 5)))
    assert "does not solve temporal order in 17,000 seq" in figures.finding(learned)
    figure = figures.draw_original(learned).figure
    axis = figure.axes[0]
    (label,) = axis.texts
    box = label.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert axis.bbox.x0 < box.x0 < box.x1 < axis.bbox.x1


@pytest.mark.parametrize(
    ("name", "references", "flags"),
    [
        ("adding", ADDING, {}),
        ("copy_memory", COPY, {"lengths": [1000], "batch_size": 32}),
        ("temporal_order", ORDER, {}),
    ],
)
def test_published_numbers_belong_to_a_curve_of_these_flags(name, references, flags):
    config = EXPERIMENTS[name].Config(**flags)
    studies, _ = trainings.studies(TASKS[name], config)
    curves = {
        (study.length, study.cell, start.init.partition("(")[0])
        for study in studies
        for start in study.starts
    }
    settings = [reference.number.setting for reference in references]
    assert len(set(settings)) == len(settings)
    for reference in references:
        assert (reference.length, reference.cell, reference.init) in curves
        assert all(getattr(config, n) == v for n, v in reference.standard.items())


def test_numbers_after_all_steps_are_compared_after_as_many():
    (loss,) = [reference for reference in ADDING if reference.quantity == LOSS]
    assert f"after {loss.standard['steps']:,} steps" in loss.number.setting
    (never,) = [reference for reference in ORDER if reference.number.tolerance == 0]
    sequences = never.standard["steps"] * never.standard["batch_size"]
    assert sequences == never.number.published


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_model_is_reported_and_reopened(name, launched, small_data, tmp_path):
    flags = [f"--{flag}" for flag in TINY[name].split(";")]
    code, out, err = launched(EXPERIMENTS[name], *flags, "--seeds=0,1", "--results=out")
    assert code == 0, err
    learned = rows(tmp_path / "out", "learned")
    assert [row["seed"] for row in learned] == [0, 1] * (len(learned) // 2)
    assert not any(row["solved_step"] for row in learned)
    evaluations = rows(tmp_path / "out", "evaluation")
    assert len(evaluations) == len(learned) and "never" in out
    saved = open_run(tmp_path / "out")
    for network in saved.names:
        model, params = saved.model(network, seed=1)
        shapes = [leaf.shape for leaf in jax.tree.leaves(model.shapes)]
        assert [leaf.shape for leaf in jax.tree.leaves(params)] == shapes
        assert np.isfinite(model.score(params))


@pytest.mark.parametrize(
    ("name", "flag", "sentence"),
    [
        ("adding", "--lengths=1", "flag --lengths: expected a length of at least 2"),
        ("temporal_order", "--lengths=100", "expected a length that is a multiple of"),
        ("adding", "--evaluate_every=9999", "flag --evaluate_every: expected at most"),
        ("copy_memory", "--cells=lstn", "unknown cell 'lstn'"),
    ],
)
def test_mistakes_are_refused(name, flag, sentence, launched):
    code, _, err = launched(EXPERIMENTS[name], flag, "--results=out")
    assert code == 2 and sentence in err
