"""Noise in training: where it falls, how often; and none without a key."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import TIME, example
from flax import nnx
from tolerances import assert_close

import nets
import nets.linen
import nets.nnx
from nets.recurrent import batch_first

KEY = jax.random.key(3)
identity = nets.elman(activation=lambda x: x)

NOISY = {
    "input_dropout": nets.input_dropout(nets.lstm(), 0.5),
    "recurrent_dropout": nets.recurrent_dropout(nets.lstm(), 0.5),
    "recurrent_dropout gru": nets.recurrent_dropout(nets.gru(False), 0.5),
    "drop_connect": nets.drop_connect(nets.gru(), 0.5),
    "zoneout": nets.zoneout(nets.lstm(), hidden=0.3, cell=0.5),
    "all": nets.zoneout(
        nets.input_dropout(
            nets.drop_connect(nets.recurrent_dropout(nets.lstm(), 0.5), 0.5), 0.5
        ),
        hidden=0.3,
    ),
    "learned state": nets.learned_state(nets.input_dropout(nets.lstm(), 0.5)),
}
each_noisy = pytest.mark.parametrize("cell", NOISY.values(), ids=NOISY)


def echo(units):
    """Parameters of `identity` by which its output is its input, and nothing else."""
    return nets.cells.ElmanParams(
        jnp.eye(units), jnp.zeros((units, units)), jnp.zeros(units)
    )


def keep(units):
    """Parameters of `identity` by which its output is its old state."""
    return nets.cells.ElmanParams(
        jnp.zeros((1, units)), jnp.eye(units), jnp.zeros(units)
    )


@each_noisy
def test_the_key_decides(cell):
    params, xs, first = example(cell, 4)
    run = jax.jit(lambda key: nets.unroll(cell, params, xs, first, key=key))
    chex.assert_trees_all_equal(run(KEY), run(KEY))
    assert all(cases.differ(run(KEY), run(jax.random.key(4))))
    chex.assert_tree_all_finite(run(KEY))


@pytest.mark.parametrize(
    "name", sorted(set(NOISY) - {"zoneout", "all", "learned state"})
)
def test_without_a_key_nothing_is_dropped(name):
    plain = nets.gru() if name == "drop_connect" else nets.lstm()
    plain = nets.gru(False) if name == "recurrent_dropout gru" else plain
    params, xs, first = example(plain, 4)
    chex.assert_trees_all_equal(
        nets.unroll(NOISY[name], params, xs, first),
        nets.unroll(plain, params, xs, first),
    )


def test_a_cell_without_noise_takes_no_notice_of_a_key():
    params, xs, first = example(nets.lstm(), 4)
    run = partial(nets.unroll, nets.lstm(), params, xs, first)
    chex.assert_trees_all_equal(run(key=KEY), run())


def test_one_mask_of_inputs_a_sequence():
    cell = nets.input_dropout(identity, 0.25)
    xs = jnp.ones((TIME, 40, 50))
    _, ys = nets.unroll(cell, echo(50), xs, key=KEY)
    np.testing.assert_allclose(sorted(set(np.unique(ys))), [0, 4 / 3], rtol=1e-6)
    assert (ys == ys[:1]).all()  # all steps alike
    assert (ys[0] != ys[0, :1]).any()  # not all sequences
    assert abs((ys[0] == 0).mean() - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_one_mask_of_the_recurrent_units_a_sequence():
    cell = nets.recurrent_dropout(identity, 0.5)
    first = nets.cells.ElmanState(jnp.ones((40, 50)))
    _, ys = nets.unroll(cell, keep(50), jnp.ones((3, 40, 1)), first, key=KEY)
    assert set(np.unique(ys[0])) == {0, 2}
    assert (ys[1] == 2 * ys[0]).all() and (ys[2] == 4 * ys[0]).all()
    assert (ys[0] != ys[0, :1]).any()
    assert abs((ys[0] == 0).mean() - 0.5) < 4 * (0.25 / 2000) ** 0.5


@pytest.mark.parametrize("cell", [nets.gru(), nets.gru(False)], ids=["after", "before"])
def test_recurrent_dropout_leaves_memory_alone(cell):
    """A GRU whose z is 1 keeps all of its h, whatever its weights see."""
    params, xs, first = example(cell, 4)
    params = params._replace(b=params.b.at[3:6].set(200.0))
    stochastic_step = nets.recurrent_dropout(cell, 0.9)
    end, _ = nets.unroll(stochastic_step, params, xs, first, key=KEY)
    chex.assert_trees_all_equal(end, first)


def test_recurrent_dropout_is_dropout_of_the_lstms_h():
    """Gal's equations, with the mask read off a run of `identity`."""
    units = 3
    ones = nets.cells.ElmanState(jnp.ones((4, units)))
    probe = nets.recurrent_dropout(identity, 0.5)
    _, seen = nets.unroll(probe, keep(units), jnp.ones((1, 4, 1)), ones, key=KEY)
    cell = nets.lstm()
    params, xs, state = example(cell, 4)
    stochastic_step = nets.recurrent_dropout(cell, 0.5)
    got = nets.unroll(stochastic_step, params, xs, state, key=KEY)
    outputs = []
    for x in xs:
        read = state._replace(hidden=state.hidden * seen[0])
        state, y = cell.step(params, read, x)
        outputs.append(y)
    assert set(np.unique(seen)) == {0, 2}
    assert_close(got, (state, jnp.stack(outputs)))


def test_drop_connect_drops_weights_once_for_all():
    cell = nets.drop_connect(identity, 0.25)
    units = 50
    params = keep(units)._replace(w_h=jnp.ones((units, units)))
    first = nets.cells.ElmanState(jnp.eye(units)[:, None, :].repeat(2, axis=1))
    xs = jnp.ones((2, units, 2, 1))
    _, ys = nets.unroll(cell, params, xs, first, key=KEY)
    weights = ys[0, :, 0]  # row i is what unit i sends
    np.testing.assert_allclose(sorted(set(np.unique(weights))), [0, 4 / 3], rtol=1e-6)
    assert (ys[0, :, 0] == ys[0, :, 1]).all()
    np.testing.assert_allclose(ys[1, :, 0], weights @ weights, rtol=1e-5)
    assert abs((weights == 0).mean() - 0.25) < 4 * (0.25 * 0.75 / units**2) ** 0.5


def test_zoneout_without_a_key_is_its_mean():
    cell, plain = NOISY["zoneout"], nets.lstm()
    params, xs, state = example(plain, 4)
    got = nets.unroll(cell, params, xs, state)
    outputs = []
    for x in xs:
        new, _ = plain.step(params, state, x)
        state = nets.cells.LSTMState(
            hidden=0.3 * state.hidden + 0.7 * new.hidden,
            cell=0.5 * state.cell + 0.5 * new.cell,
        )
        outputs.append(state.hidden)
    assert_close(got, (state, jnp.stack(outputs)))


def with_rule(step):
    """The step under a custom derivative, which is its own."""

    @jax.custom_jvp
    def call(params, state, x):
        return step(params, state, x)

    call.defjvp(lambda primals, tangents: jax.jvp(step, primals, tangents))
    return call


@pytest.mark.parametrize("key", [None, KEY], ids=["mean", "drawn"])
@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, with_rule])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_an_output_follows_what_is_kept_out_of_a_wrapped_step(name, wrap, key):
    plain = getattr(nets, name)()
    params, xs, first = example(plain, 4)
    inside = nets.zoneout(plain._replace(step=wrap(plain.step)), hidden=0.5)
    end, ys = nets.unroll(inside, params, xs, first, key=key)
    assert (ys[-1] == end.hidden).all()
    wanted = nets.unroll(nets.zoneout(plain, hidden=0.5), params, xs, first, key=key)
    assert_close((end, ys), wanted)


def test_an_output_that_is_computed_follows_what_is_kept():
    """Read from the state by a matrix, or rounded from it."""
    lru, gru = nets.lru(), nets.gru()
    params, xs, first = example(lru, 4)
    cell = nets.zoneout(lru, hidden=0.5)
    end, ys = nets.unroll(cell, params, xs, first, key=KEY)
    assert lru.linear is not None
    assert_close(ys[-1], lru.linear.read(params, end, xs[-1]))
    params, xs, first = example(gru, 4, dtype=jnp.bfloat16)
    cell = nets.zoneout(gru, hidden=0.5)
    end, ys = nets.unroll(cell, params, xs, first, key=KEY)
    assert (ys[-1] == end.hidden.astype(jnp.bfloat16)).all()


@pytest.mark.parametrize("make", [nets.recurrent_dropout, nets.h_detach])
def test_a_step_under_jit_or_checkpoint_takes_drop(make):
    plain = nets.lstm()
    params, xs, first = example(plain, 4)
    run = partial(nets.unroll, params=params, xs=xs, state=first, key=KEY)
    expected = run(make(plain, 0.5))
    for transform in (jax.jit, jax.checkpoint):
        cell = make(plain._replace(step=transform(plain.step)), 0.5)
        # Products inside a checkpoint are not merged, and are rounded differently.
        chex.assert_trees_all_close(run(cell), expected, rtol=1e-6, atol=1e-7)

        def loss(params, cell=cell):
            return (run(cell, params=params)[1] ** 2).sum()

        def plain_loss(params):
            return (run(make(plain, 0.5), params=params)[1] ** 2).sum()

        gradients = jax.jit(jax.grad(loss))(params)
        assert_close(gradients, jax.jit(jax.grad(plain_loss))(params))
    with pytest.raises(ValueError, match="a step that was replaced"):
        make(plain._replace(step=lambda p, s, x: plain.step(p, s, x)), 0.5)


@pytest.mark.slow
def test_zoneout_draws_the_units_it_keeps_at_every_step():
    cell, plain = NOISY["zoneout"], nets.lstm()
    params = plain.init(jax.random.key(0), 2, 50)
    xs = cases.normal(TIME, 40, 2, scale=1.0).astype(jnp.float32)
    states, ys = nets.unroll(cell, params, xs, key=KEY, all_states=True)
    chex.assert_trees_all_equal(ys, states.hidden)
    kept = jax.tree.map(lambda s: s[1:] == s[:-1], states)
    for rate, where in zip((0.3, 0.5), kept, strict=True):
        n = where.size
        assert abs(where.mean() - rate) < 4 * (rate * (1 - rate) / n) ** 0.5
        assert (where[0] != where[1]).any()
    assert (kept.hidden != kept.cell).any()
    for t in range(TIME - 1):  # what is not kept is what the cell would have
        old = jax.tree.map(lambda s, t=t: s[t], states)
        new, _ = plain.step(params, old, xs[t + 1])
        for k, s, n in zip(kept, states, new, strict=True):
            assert_close(s[t + 1][~k[t]], n[~k[t]])


def test_a_gradient_passes_a_kept_unit_whole():
    cell = nets.zoneout(nets.lstm(), hidden=0.5)
    params = nets.lstm().init(jax.random.key(0), 2, 50)
    x, zeros = jnp.ones((1, 2)), jnp.zeros(50)

    def after(hidden):
        state, _ = nets.unroll(
            cell, params, x, nets.cells.LSTMState(hidden, zeros), key=KEY
        )
        return state.hidden

    hidden = jnp.full(50, 0.25)
    kept = jnp.equal(after(hidden), hidden)
    jacobian = jax.jacobian(after)(hidden)
    assert 10 < kept.sum() < 40
    assert (jacobian[kept] == jnp.eye(50)[kept]).all()


def test_both_directions_and_all_layers_have_independent_noise():
    cell = nets.input_dropout(identity, 0.5)
    both = nets.bidirectional(cell, merge=None)
    params = nets.recurrent.BidirectionalParams(echo(50), echo(50))
    xs = jnp.ones((2, 3, 50))
    _, (forward, backward) = both.apply(params, xs, key=KEY)
    assert (forward != backward).any()
    deep = nets.stack(cell, cell)
    _, ys = deep.apply((echo(50), echo(50)), xs, key=KEY)
    assert set(np.unique(ys)) == {0, 4}
    assert abs((ys == 0).mean() - 0.75) < 0.15


def test_both_faces_of_flax():
    """Linen draws from its stream of keys; NNX is given a key."""
    cell = NOISY["all"]
    params, xs, _ = example(cell, 4)
    xs = batch_first(xs)
    module = nets.linen.Recurrent(cell, 3)
    variables = {"params": {"cell": params}}
    _, quiet = module.apply(variables, xs)
    _, noise = module.apply(variables, xs, rngs={"dropout": KEY})
    _, again = module.apply(variables, xs, rngs={"dropout": KEY})
    chex.assert_trees_all_equal(noise, again)
    assert all(cases.differ(noise, quiet))
    layer = nets.nnx.Recurrent(cell, 2, 3, rngs=nnx.Rngs(0))
    layer.params.set_value(params)
    expected = nets.unroll(cell, params, xs.swapaxes(0, 1), key=KEY)[1]
    assert_close(layer(xs, key=KEY)[1], batch_first(expected))
    assert_close(layer(xs)[1], quiet)


@pytest.mark.parametrize("name", ["zoneout", "recurrent_dropout"])
def test_the_instrument_takes_cells_with_noise(name):
    """As they are without a key."""
    cell = NOISY[name]
    params, xs, first = example(cell, 2)
    value, gradients = nets.flow.state_gradients(cell, params, xs, cases.total, first)
    assert_close(value, cases.total(*nets.unroll(cell, params, xs, first)))
    assert all(cases.differ(gradients, jax.tree.map(jnp.zeros_like, gradients)))


ERRORS = {
    "rate 1": (lambda: nets.input_dropout(nets.lstm(), 1.0), "below 1; got 1.0"),
    "negative": (lambda: nets.drop_connect(nets.lstm(), -0.1), "below 1; got -0.1"),
    "zoneout": (lambda: nets.zoneout(nets.lstm(), cell=2.0), "cell from 0 to below 1"),
    "stack": (lambda: nets.stack(nets.gru(), dropout_rate=1.0), "dropout_rate from 0"),
    "no drop": (
        lambda: nets.recurrent_dropout(cases.FAST_WEIGHTS, 0.5),
        r"step\(params, state, x, drop\) calls drop on the h",
    ),
    "noise inside": (
        lambda: nets.recurrent_dropout(nets.input_dropout(nets.lstm(), 0.5), 0.5),
        "and that is not stochastic",
    ),
}


@pytest.mark.parametrize("make, message", ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_fields_that_are_not_there():
    params, xs, _ = example(nets.gru(), 2)
    with pytest.raises(ValueError, match=r"'cell' for zoneout.*got GRUState"):
        nets.unroll(nets.zoneout(nets.gru(), cell=0.5), params, xs)
    cell = nets.drop_connect(cases.FAST_WEIGHTS, 0.5)
    params, xs, _ = example(cell, 2)
    with pytest.raises(ValueError, match="'w_h' for drop_connect; got FastParams"):
        nets.unroll(cell, params, xs, key=KEY)
