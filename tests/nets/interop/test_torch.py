"""The same numbers and gradients as PyTorch, with the same weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME
from side_by_side import optimized_jit
from tolerances import assert_close_to_peers as assert_close

import nets
from nets import interop
from nets.recurrent import BidirectionalParams

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")

LENGTHS = [3, TIME, 1, 4]
LAYERS = {
    "elman": (nets.elman(), torch.nn.RNN, {"nonlinearity": "tanh"}),
    "elman relu": (nets.elman(jax.nn.relu), torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nets.lstm(), torch.nn.LSTM, {}),
    "gru": (nets.gru(), torch.nn.GRU, {}),
}
DIRECTIONS = {False: [""], True: ["", "_reverse"]}


def array(tensor):
    return jnp.asarray(tensor.detach().cpu().numpy())


def to_params(cell, tensors: Any, join: Callable[..., Any] = jnp.add) -> Any:
    """Our parameters; a bias that torch has twice and we once is joined."""
    w_ih, w_hh, b_ih, b_hh = tensors
    kind = type(cases.draw_params(cell))
    if kind is not nets.cells.GRUParams:
        return kind(w_ih.T, w_hh.T, join(b_ih, b_hh))
    n = 2 * FEATURES  # from here on they are n's, which are apart: r is between them
    b = jnp.concatenate([join(b_ih[:n], b_hh[:n]), b_ih[n:]])
    return nets.cells.GRUParams(w_ih.T, w_hh.T, b, b_hn=b_hh[n:])


def weights(module, suffix="", grad=False):
    names = [f"{kind}_l0{suffix}" for kind in ("weight_ih", "weight_hh")]
    names += [f"{kind}_l0{suffix}" for kind in ("bias_ih", "bias_hh")]
    tensors = [getattr(module, name) for name in names]
    return [array(t.grad if grad else t) for t in tensors]


def same(one, other):
    """A sum's parts have the gradient of the sum."""
    assert_close(one, other)
    return one


def to_state(cell, end):
    """torch's h_n, or (h_n, c_n), [directions, batch, features], as our states."""
    ends = end if isinstance(end, tuple) else (end,)
    kind = type(cases.example(cell).state)
    return [kind(*map(array, parts)) for parts in zip(*ends, strict=True)]


@pytest.mark.parametrize(
    "both, lengths",
    [(False, None), (True, LENGTHS)],
    ids=["forward, full", "bidirectional, packed"],
)
@pytest.mark.parametrize("cell, module, options", LAYERS.values(), ids=LAYERS)
def test_equal_to_torch(cell, module, options, both, lengths):
    torch.manual_seed(0)
    module = module(INPUTS, FEATURES, bidirectional=both, **options)
    inputs = torch.randn(TIME, 4, INPUTS, requires_grad=True)

    fed = inputs
    if lengths is not None:
        fed = torch.nn.utils.rnn.pack_padded_sequence(
            inputs, torch.tensor(lengths), enforce_sorted=False
        )
    outputs, end = module(fed)
    if lengths is not None:
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs)
    ends = end if isinstance(end, tuple) else (end,)
    torch.stack([torch.sin(t).sum() for t in (outputs, *ends)]).sum().backward()

    def tree(parts):
        return BidirectionalParams(*parts) if both else parts[0]

    def ours(params, xs):
        apply = partial(nets.unroll, cell)
        if both:
            apply = nets.bidirectional(cell).apply
        known = None if lengths is None else jnp.array(lengths)
        state, ys = apply(params, xs, lengths=known)
        return cases.total(state, ys), (state, ys)

    params = tree([to_params(cell, weights(module, s)) for s in DIRECTIONS[both]])
    gradients = optimized_jit(jax.grad(ours, argnums=(0, 1), has_aux=True))
    grads, (state, ys) = gradients(params, array(inputs))
    assert_close(ys, array(outputs))
    assert_close(jax.tree.leaves(state), jax.tree.leaves(to_state(cell, end)))
    their_grads = [
        to_params(cell, weights(module, s, grad=True), join=same)
        for s in DIRECTIONS[both]
    ]
    assert_close(grads, (tree(their_grads), array(inputs.grad)))


LOSSES = {"last output": lambda ys: ys[-1:], "all outputs": lambda ys: ys}


@pytest.mark.parametrize("part", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("name", ["elman", "elman relu", "lstm", "gru"])
def test_state_gradients_equal_retain_grad(name, part, x64):
    cell, module, options = LAYERS[name]
    torch.manual_seed(0)
    step = {
        torch.nn.RNN: torch.nn.RNNCell,
        torch.nn.LSTM: torch.nn.LSTMCell,
        torch.nn.GRU: torch.nn.GRUCell,
    }[module](INPUTS, FEATURES, dtype=torch.float64, **options)
    inputs = torch.randn(TIME, 4, INPUTS, dtype=torch.float64)

    state, states = None, []
    for x in inputs:
        new = step(x, state)
        # h and c are coordinates of one vector, each moved for itself: as clones they
        # are, while inside the module h still depends on c.
        parts = [p.clone() for p in (new if isinstance(new, tuple) else (new,))]
        for p in parts:
            p.retain_grad()
        states.append(parts)
        state = tuple(parts) if isinstance(new, tuple) else parts[0]
    loss = torch.sin(part(torch.stack([hidden for hidden, *_ in states]))).sum()
    loss.backward()

    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    params = to_params(cell, [array(getattr(step, name)) for name in names])
    by_states = partial(
        nets.flow.state_gradients, cell, loss=lambda _, ys: jnp.sin(part(ys)).sum()
    )
    value, gradients = optimized_jit(by_states)(params, array(inputs))
    np.testing.assert_allclose(value, loss.item(), rtol=1e-10)
    theirs = [
        jnp.stack([jnp.zeros((4, 3)) if p.grad is None else array(p.grad) for p in ps])
        for ps in zip(*states, strict=True)
    ]
    assert all((g[:-1] != 0).any() for g in theirs)
    chex.assert_trees_all_close(jax.tree.leaves(gradients), theirs, rtol=0, atol=1e-10)


def test_the_lstms_cell_is_moved_for_itself(x64):
    """At the last step c leads nowhere but to the final state, and not to y = h."""
    cell = nets.lstm()
    params, xs, _ = cases.example(cell, 4)
    _, gradients = nets.flow.state_gradients(
        cell, params, xs, lambda state, ys: ys[-1].sum()
    )
    assert (gradients.cell[-1] == 0).all() and (gradients.hidden[-1] == 1).all()


DEEP = {
    "lstm": (nets.lstm(), nets.cells.LSTMParams, torch.nn.LSTM, {}),
    "gru": (nets.gru(), nets.cells.GRUParams, torch.nn.GRU, {}),
    "projected lstm": (
        nets.projected_lstm(projection=2),
        nets.cells.ProjectedLSTMParams,
        torch.nn.LSTM,
        {"proj_size": 2},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("cell, kind, module, options", DEEP.values(), ids=DEEP)
def test_packed_stacks_equal_torch(cell, kind, module, options):
    """Two layers of two directions, padded: outputs, states, gradients by inputs."""
    torch.manual_seed(0)
    module = module(INPUTS, FEATURES, num_layers=2, bidirectional=True, **options)
    inputs = torch.randn(TIME, 4, INPUTS, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs, torch.tensor(LENGTHS), enforce_sorted=False
    )
    outputs, end = module(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs)
    ends = end if isinstance(end, tuple) else (end,)
    torch.stack([torch.sin(t).sum() for t in (outputs, *ends)]).sum().backward()

    params = interop.params_from_torch(module.state_dict(), kind)
    layer = nets.stack(*[nets.bidirectional(cell)] * 2)

    def ours(xs, options):
        state, ys = layer.apply(params, xs, **options)
        return cases.total(state, ys), (state, ys)

    xs, lengths = array(inputs), jnp.array(LENGTHS)
    real = jnp.arange(TIME)[:, None] < lengths[None]
    gradient = jax.jit(jax.grad(ours, has_aux=True))
    for options in ({"lengths": lengths}, {"mask": real}):
        grads, (state, ys) = gradient(xs, options)
        assert_close(ys, array(outputs))
        assert_close(grads, array(inputs.grad))
        # torch puts layer by layer, in each forward and backward, on one axis.
        single = jax.tree.leaves(state, is_leaf=lambda s: hasattr(s, "hidden"))
        for i, part in enumerate(zip(*ends, strict=True)):
            assert_close(list(single[i]), [array(p) for p in part])
