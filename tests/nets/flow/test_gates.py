"""Gates: marks move nothing, and what is found of them is right."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_close_float64

import nets
from nets import flow
from nets.tracing.tags import CANDIDATE, with_tags

GATES = {  # by their names, those that multiply the old state with a star
    "lem": "memory_step hidden_step memory_keep* hidden_keep*",
    "lstm": "input forget* output",
    "lstm_1997": "input output",
    "peephole_lstm": "input forget* output",
    "coupled_lstm": "input forget* output",
    "projected_lstm": "input forget* output",
    "layer_norm_lstm": "input forget* output",
    "slstm": "input forget* output",
    "mlstm": "forget* input output",
    "gru": "reset update*",
    "layer_norm_gru": "reset update*",
    "mgu": "forget*",
    "janet": "input forget*",
    "minimal_rnn": "update*",
    "star": "input keep*",
    "rhn": "transform_1 carry_1* transform_2 carry_2* transform_3 carry_3*",
    "qrnn": "input forget* output",
    "sru": "input forget* reset",
    "min_gru": "keep* update",
    "min_lstm": "input forget*",
    "rg_lru": "recurrence input keep*",
    "delta_net": "write",
    "gated_delta_net": "forget* write",
    "pd_ssm": "keep*",
    "conv_lstm": "input forget* output",
    "conv_gru": "reset update*",
    "sru(peephole=True)": "forget* reset",
    "gru(reset_after=False)": "reset update*",
    "conv_gru 1-D": "reset update*",
}
UNGATED = {"elman", "irnn", "ind_rnn", "orthogonal_rnn", "antisymmetric_rnn"}
UNGATED |= {"cornn", "unicornn", "lru", "s5", "linoss", "d_linoss"}
QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95


gates = jax.jit(
    flow.gates,
    static_argnames=("cell", "reverse", "quantiles", "closed", "opened"),
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(params, xs, first):
    """Input, forget and output gates of every step, of one sequence, in NumPy."""
    w_i, w_h, b = (np.asarray(p) for p in params)
    h, c = (np.asarray(s) for s in first)
    result = []
    for x in np.asarray(xs):
        i, f, g, o = np.split(x @ w_i + h @ w_h + b, 4)
        i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        result.append((i, f, o))
    return np.array(result)  # [time, gates, features]


def batch_by_hand(params, xs, first, steps):
    """Gates [time, gates, batch, features]; nan where a sequence reads no step.

    steps[row] are the steps that a sequence reads, in its order.
    """
    result = np.full((len(xs), 3, xs.shape[1], FEATURES), np.nan)
    for row, order in enumerate(steps):
        order = np.asarray(order, int)
        one = jax.tree.map(lambda s, row=row: s[row], first)
        if len(order):
            result[order, :, row] = lstm_by_hand(params, xs[order, row], one)
    return result


def statistics_by_hand(values, quantiles=QUANTILES, closed=0.1, opened=0.9):
    """Of one gate's values [time, batch, features], nan where they do not count."""
    rows = [row[~np.isnan(row)] for row in values]
    none = np.full(len(quantiles), np.nan)

    def share(row, where):
        return where.mean() if row.size else np.nan

    return (
        np.array([row.mean() if row.size else np.nan for row in rows]),
        np.array([np.quantile(row, quantiles) if row.size else none for row in rows]),
        np.array([share(row, row < closed) for row in rows]),
        np.array([share(row, row > opened) for row in rows]),
        -1 / np.nanmean(np.log(values), axis=(0, 1)),
    )


def assert_by_hand(result, values, **options):
    for index, name in enumerate(["input", "forget", "output"]):
        one = result.pop(name)
        *rest, memory = statistics_by_hand(values[:, index], **options)
        assert_close_float64(tuple(one[:-1]), tuple(rest))
        if name == "forget":
            assert_close_float64(one.memory, memory)
        else:
            assert one.memory is None
    assert not result


def test_the_table_names_every_cell():
    assert set(nets.CELLS) <= set(GATES) | UNGATED
    assert not set(GATES) & UNGATED


@pytest.mark.parametrize("name", GATES)
def test_every_gated_cell_names_its_gates(name):
    """All are from 0 to 1, and units have no axis of time or of batch."""
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 2, time=2)
    result = jax.eval_shape(partial(flow.gates, cell), params, xs, first)
    kept = {word.rstrip("*"): word.endswith("*") for word in GATES[name].split()}
    assert [word.replace(" ", "_") for word in sorted(result)] == sorted(kept)
    units = jax.tree.leaves(first)[0].shape[1:]
    for word, one in result.items():
        chex.assert_shape((one.mean, one.closed, one.opened), (2,))
        chex.assert_shape(one.quantiles, (2, len(QUANTILES)))
        if kept[word.replace(" ", "_")]:
            chex.assert_shape(
                one.memory, (1,) if name in ("mlstm", "gated_delta_net") else units
            )
        else:
            assert one.memory is None

    @jax.jit
    def values(*args):
        _, marked = with_tags(cell.step)(*args)
        return [value for mark, value in marked if mark.kind != CANDIDATE]

    for value in values(params, first, xs[0]):
        assert np.all((np.asarray(value) >= 0) & (np.asarray(value) <= 1))


@pytest.mark.parametrize(
    ("name", "wrap"),
    [("gru", jax.jit), ("min_gru", jax.checkpoint), ("rhn", jax.checkpoint)],
)
def test_marks_are_found_inside_of_jit_and_checkpoint(name, wrap):
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 2, time=2)
    wrapped = cell._replace(step=wrap(cell.step))
    chex.assert_trees_all_close(
        gates(wrapped, params, xs, first), gates(cell, params, xs, first), rtol=1e-5
    )


@cases.both_ways
def test_statistics_are_those_of_numpy(reverse, x64):
    params, xs, first = example(nets.lstm(), 3)
    params, xs = jax.tree.map(lambda a: 4 * a, (params, xs))  # some are saturated
    order = range(TIME)[:: -1 if reverse else 1]
    values = batch_by_hand(params, xs, first, [order] * 3)
    result = gates(nets.lstm(), params, xs, first, reverse=reverse)
    assert 0 < result["forget"].closed.mean() < 1
    assert 0 < result["forget"].opened.mean() < 1
    assert_by_hand(result, values)


def test_bounds_and_quantiles_are_the_callers(x64):
    params, xs, first = example(nets.lstm(), 3)
    options = {"quantiles": (0.1, 0.5), "closed": 0.4, "opened": 0.6}
    values = batch_by_hand(params, xs, first, [range(TIME)] * 3)
    assert_by_hand(gates(nets.lstm(), params, xs, first, **options), values, **options)


@cases.both_ways
def test_padding_does_not_count(reverse, x64):
    """The last step is padding for all, and it contains NaN."""
    params, xs, first = example(nets.lstm(), 3)
    lengths = jnp.array([2, 0, TIME - 1])
    steps = [range(n)[:: -1 if reverse else 1] for n in lengths.tolist()]
    result = gates(
        nets.lstm(),
        params,
        cases.fill_padding(xs, lengths, np.nan),
        first,
        lengths=lengths,
        reverse=reverse,
    )
    assert jnp.isnan(result["input"].mean).tolist() == [False] * (TIME - 1) + [True]
    assert_by_hand(result, batch_by_hand(params, xs, first, steps))


def test_padding_may_be_between_steps(x64):
    params, xs, first = example(nets.lstm(), 2)
    steps = [[1, 3], [0, 1, 4]]
    mask = jnp.zeros((TIME, 2), bool)
    for row, real in enumerate(steps):
        mask = mask.at[jnp.array(real), row].set(True)
    result = gates(nets.lstm(), params, xs, first, mask=mask)
    assert_by_hand(result, batch_by_hand(params, xs, first, steps))


@pytest.mark.slow
def test_batch_axes_are_one_batch(x64):
    params, xs, first = example(nets.lstm(), 3, 2)
    flat, start = jax.tree.map(lambda a: a.reshape(*a.shape[:-3], 6, -1), (xs, first))
    wanted = gates(nets.lstm(), params, flat, start)
    assert_close_float64(gates(nets.lstm(), params, xs, first), wanted)
    lengths = jnp.array([5, 0, 3])  # of the leading batch axis
    assert_close_float64(
        gates(nets.lstm(), params, xs, first, lengths=lengths),
        gates(nets.lstm(), params, flat, start, lengths=jnp.repeat(lengths, 2)),
    )
    one = gates(nets.lstm(), params, xs[:, 1, 1])["forget"]
    assert_close_float64(one, gates(nets.lstm(), params, xs[:, 1:2, 1])["forget"])


def test_seeds_are_vmapped(x64):
    cell = nets.lstm()
    xs = cases.normal(TIME, 2, INPUTS)
    several = [cases.draw_params(cell, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    result = jax.vmap(lambda params: gates(cell, params, xs))(stacked)
    for seed, params in enumerate(several):
        one = jax.tree.map(lambda a, seed=seed: a[seed], result)
        assert_close_float64(one, gates(cell, params, xs))


def test_memory_of_a_constant_gate(x64):
    """With no weights f = sigmoid(b) at every step, and tau = -1 / ln sigmoid(b)."""
    cell = nets.lstm()
    params = jax.tree.map(jnp.zeros_like, cases.draw_params(cell))
    bias = jnp.array([-1.0, 3.0, 800.0])
    params = params._replace(b=nets.initializers.set_gate(params.b, "ifgo", "f", bias))
    result = gates(cell, params, jnp.ones((TIME, 2, INPUTS)))["forget"]
    assert_close_float64(result.memory[:2], -1 / np.log(sigmoid(np.array([-1.0, 3.0]))))
    assert result.memory[2] == jnp.inf


def own_step(params, state, x):
    """Kept by a decay that sees no input, and written twice by one gate's name."""
    decay = nets.tag_gate(jax.nn.sigmoid(params), "decay", retains=True)
    decay = jnp.broadcast_to(decay, state.shape)
    one = nets.tag_gate(jax.nn.sigmoid(x), "write")
    two = nets.tag_gate(jax.nn.sigmoid(-x), "write")
    state = decay * state + one * two
    return state, state


OWN = nets.Cell(
    lambda key, inputs, features: jnp.arange(float(features)),
    lambda params, x: jnp.zeros((*x.shape[:-1], len(params))),
    own_step,
)


def test_a_user_cell(x64):
    params, xs = jnp.arange(2.0), cases.normal(TIME, 4, 2)
    lengths = jnp.array([TIME, 1, 2, 0])
    result = gates(OWN, params, xs, lengths=lengths)
    assert set(result) == {"decay", "write 1", "write 2"}
    assert_close_float64(result["decay"].memory, -1 / np.log(sigmoid(np.arange(2.0))))
    assert_close_float64(
        result["decay"].mean, np.full(TIME, sigmoid(np.arange(2.0)).mean())
    )
    assert_close_float64(
        result["write 1"].mean[-1], sigmoid(np.asarray(xs[-1, 0])).mean()
    )
    assert_close_float64(result["write 1"].mean, 1 - result["write 2"].mean)


def test_a_gate_that_is_nan_is_seen():
    result = gates(OWN, jnp.zeros(2), jnp.full((3, 4, 2), jnp.nan).at[0].set(1.0))
    assert jnp.isnan(result["write 1"].mean).tolist() == [False, True, True]
    assert jnp.isnan(result["write 1"].quantiles[:, 0]).tolist() == [False, True, True]


@pytest.mark.slow
def test_layers_have_the_gates_of_every_cell(x64):
    layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
    params = cases.draw(
        jax.eval_shape(lambda key: layer.init(key, INPUTS, 4), jax.random.key(0))
    )
    xs, lengths = cases.normal(TIME, 2, INPUTS), jnp.array([TIME, 2])
    result = gates(layer, params, xs, lengths=lengths, closed=0.5)
    _, ys = nets.bidirectional(nets.gru()).apply(params[0], xs, lengths=lengths)
    options = {"lengths": lengths, "closed": 0.5}
    assert_close_float64(
        result[0].forward, gates(nets.gru(), params[0].forward, xs, **options)
    )
    assert_close_float64(
        result[0].backward,
        gates(nets.gru(), params[0].backward, xs, reverse=True, **options),
    )
    assert_close_float64(result[1], gates(nets.lstm(), params[1], ys, **options))


@pytest.mark.parametrize("name", sorted(UNGATED))
def test_a_cell_without_gates_is_refused(name):
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 2, time=2)
    with pytest.raises(ValueError, match="expected a cell whose step tags its gates"):
        jax.eval_shape(partial(flow.gates, cell), params, xs, first)


def test_the_gate_of_the_antisymmetric_network():
    cell = nets.antisymmetric_rnn(gated=True)
    params, xs, first = example(cell, 2, time=2)
    assert list(gates(cell, params, xs, first)) == ["update"]
