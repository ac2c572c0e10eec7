"""Weights that do not fit, and the messages about them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS
from flax import nnx
from interop_cases import AFTER, BEFORE, ELMAN, LSTM, PROJECTED, params_of, tensors

import nets
from nets import interop
from nets.cells import ElmanParams, GRUParams, LSTMParams
from nets.cells.mgu import MGUParams, mgu
from nets.cells.projected_lstm import ProjectedLSTMParams


def drop(arrays, name):
    return {n: a for n, a in arrays.items() if n != name}


LINEN_TREE = {
    "i": {"kernel": np.ones((INPUTS, FEATURES)), "bias": np.ones(FEATURES)},
    "h": {"kernel": np.ones((FEATURES, FEATURES))},
}
NNX_CELL = nnx.LSTMCell(INPUTS, FEATURES, rngs=nnx.Rngs(0))
NNX_TREE = nnx.to_pure_dict(nnx.state(NNX_CELL, nnx.Param))
ERRORS = {
    "missing": (
        lambda: interop.params_from_torch(drop(tensors(), "weight_hh_l0"), LSTMParams),
        'expected arrays of LSTMParams named "weight_ih_l0", "weight_hh_l0", '
        '"bias_ih_l0", "bias_hh_l0"; missing: "weight_hh_l0", unexpected: none',
    ),
    "one bias missing": (
        lambda: interop.params_from_torch(drop(tensors(), "bias_hh_l0"), LSTMParams),
        'missing: "bias_hh_l0", unexpected: none',
    ),
    "a layer missing": (
        lambda: interop.params_from_torch(
            drop(tensors(), "x") | {"weight_ih_l1": np.ones((12, 3))}, LSTMParams
        ),
        'missing: "weight_hh_l1", "bias_ih_l1", "bias_hh_l1", unexpected: none',
    ),
    "unexpected": (
        lambda: interop.params_from_torch(tensors(weight_hr_l0=(2, 3)), LSTMParams),
        'missing: none, unexpected: "weight_hr_l0"',
    ),
    "with a prefix": (
        lambda: interop.params_from_torch(
            {"a.weight_ih": np.ones(1)}, LSTMParams, "a."
        ),
        'expected arrays of LSTMParams named "a.weight_ih", "a.weight_hh"; missing: '
        '"a.weight_hh", unexpected: none',
    ),
    "no such prefix": (
        lambda: interop.params_from_torch({"weight_ih": np.ones(1)}, LSTMParams, "a."),
        'expected names that begin with "a."; got "weight_ih"',
    ),
    "shape": (
        lambda: interop.params_from_torch(tensors(weight_hh_l0=(12, 4)), LSTMParams),
        '"weight_hh_l0": expected shape (4H, H), where H = 3; got (12, 4)',
    ),
    "first shape": (
        lambda: interop.params_from_torch(tensors(weight_ih_l0=(13, 2)), LSTMParams),
        '"weight_ih_l0": expected shape (4H, I); got (13, 2)',
    ),
    "rank": (
        lambda: interop.params_from_torch(tensors(bias_ih_l0=(1, 12)), LSTMParams),
        '"bias_ih_l0": expected shape (4H), where H = 3; got (1, 12)',
    ),
    "another kind's": (
        lambda: interop.params_from_torch(tensors("gru"), LSTMParams),
        '"weight_ih_l0": expected shape (4H, I); got (9, 2)',
    ),
    "no array": (
        lambda: interop.params_from_torch({"weight_ih": [[1], []]}, ElmanParams),
        'missing: "weight_hh"',
    ),
    "ragged": (
        lambda: interop.params_from_torch(
            tensors("elman") | {"bias_ih_l0": [[1.0], []]}, ElmanParams
        ),
        '"bias_ih_l0": expected an array for np.asarray; got a list',
    ),
    "kind for torch": (
        lambda: interop.params_from_torch(tensors(), MGUParams),
        "expected parameters that PyTorch has, ElmanParams or LSTMParams or GRUParams "
        "or ProjectedLSTMParams; got MGUParams",
    ),
    "kind to torch": (
        lambda: interop.to_torch(params_of(mgu())),
        "expected parameters that PyTorch has, ElmanParams or LSTMParams or GRUParams "
        "or ProjectedLSTMParams; got MGUParams",
    ),
    "reset before, to torch": (
        lambda: interop.to_torch(params_of(BEFORE)),
        "expected a b_hn, because torch.nn.GRU resets after the product; got None, "
        "as of gru(reset_after=False)",
    ),
    "no layer to torch": (
        lambda: interop.to_torch(()),
        "expected layers of one kind, all in one direction or all in both; got no "
        "layer",
    ),
    "mixed to torch": (
        lambda: interop.to_torch((params_of(LSTM, both=True), params_of(LSTM))),
        "expected layers of one kind, all in one direction or all in both; got "
        "BidirectionalParams, LSTMParams",
    ),
    "layers that do not fit, to torch": (
        lambda: interop.to_torch((params_of(LSTM), params_of(LSTM))),
        '"weight_ih_l1": expected shape (4H, H), where H = 3; got (12, 2)',
    ),
    "keras's count": (
        lambda: interop.params_from_keras([np.ones(1)] * 5, LSTMParams),
        "expected 2 or 3 arrays of a layer, kernel, recurrent_kernel and optional "
        "bias, or twice as many of a Bidirectional one; got 5",
    ),
    "keras's shape": (
        lambda: interop.params_from_keras(
            [np.ones((2, 12)), np.ones((4, 12))], LSTMParams
        ),
        '"recurrent_kernel": expected shape (H, 4H), where H = 3; got (4, 12)',
    ),
    "keras's bias": (
        lambda: interop.params_from_keras(
            [np.ones((2, 9)), np.ones((3, 9)), np.ones((1, 9))], GRUParams
        ),
        '"bias": expected shape (2, 3H), where H = 3; got (1, 9)',
    ),
    "keras's second direction": (
        lambda: interop.params_from_keras(
            [np.ones((2, 3)), np.ones((3, 3)), np.ones((2, 3)), np.ones(3)], ElmanParams
        ),
        '"backward recurrent_kernel": expected shape (H, H), where H = 3; got (3,)',
    ),
    "kind for keras": (
        lambda: interop.params_from_keras([], dict),
        "expected parameters that Keras has, ElmanParams or LSTMParams or GRUParams or "
        "ConvLSTMParams; got dict",
    ),
    "kind to keras": (
        lambda: interop.to_keras(params_of(PROJECTED)),
        "got ProjectedLSTMParams",
    ),
    "linen missing": (
        lambda: interop.params_from_linen(drop(LINEN_TREE, "h"), ElmanParams),
        'expected arrays of ElmanParams named "i/kernel", "h/kernel", "i/bias"; '
        'missing: "h/kernel", unexpected: none',
    ),
    "linen unexpected": (
        lambda: interop.params_from_linen(
            LINEN_TREE | {"h": LINEN_TREE["h"] | {"bias": np.ones(3)}}, ElmanParams
        ),
        'missing: none, unexpected: "h/bias"',
    ),
    "linen shape": (
        lambda: interop.params_from_linen(
            LINEN_TREE | {"h": {"kernel": np.ones((3, 4))}}, ElmanParams
        ),
        '"h/kernel": expected shape (H, H), where H = 3; got (3, 4)',
    ),
    "reset before, to linen": (
        lambda: interop.to_linen(params_of(BEFORE)),
        "expected a b_hn, because Linen's GRUCell resets after the product; got None",
    ),
    "kind for linen": (
        lambda: interop.params_from_linen({}, ProjectedLSTMParams),
        "expected parameters that Flax's Linen has",
    ),
    "kind to linen": (lambda: interop.to_linen({}), "got dict"),
    "nnx not fused, missing": (
        lambda: interop.params_from_nnx(drop(NNX_TREE, "if_"), LSTMParams),
        'missing: "if_/kernel", unexpected: none',
    ),
    "nnx missing": (
        lambda: interop.params_from_nnx(
            {"dense_i": {"kernel": np.ones((2, 12))}}, LSTMParams
        ),
        'missing: "dense_h/kernel", "dense_h/bias", unexpected: none',
    ),
    "nnx has no b_hn": (
        lambda: interop.to_nnx(params_of(AFTER)._replace(b_hn=jnp.array([0.0, 2, 0]))),
        "expected a b_hn of zeros, because nnx.GRUCell has no bias that could hold it; "
        "got [0.0, 2.0, 0.0]",
    ),
    "reset before, to nnx": (
        lambda: interop.to_nnx(params_of(BEFORE)),
        "expected a b_hn, because nnx.GRUCell resets after the product; got None",
    ),
    "kind for nnx": (lambda: interop.params_from_nnx({}, MGUParams), "Flax's NNX has"),
    "kind to nnx": (lambda: interop.to_nnx(params_of(mgu())), "got MGUParams"),
    "haiku's module": (
        lambda: interop.params_from_haiku(
            {"lstm/linear": {"w": 1}}, LSTMParams, "core"
        ),
        'expected a module named "core"; got "lstm/linear"',
    ),
    "haiku's unexpected": (
        lambda: interop.params_from_haiku(
            {"gru": dict.fromkeys(["w_i", "w_h", "b", "c"], 1.0)}, GRUParams
        ),
        'expected arrays of GRUParams named "gru/w_i", "gru/w_h", "gru/b"; missing: '
        'none, unexpected: "gru/c"',
    ),
    "haiku's shape": (
        lambda: interop.params_from_haiku(
            {"lstm/linear": {"w": np.ones((5, 13)), "b": np.ones(12)}}, LSTMParams
        ),
        '"lstm/linear/w": expected shape (J, 4H), where H = 3; got (5, 13)',
    ),
    "haiku's rows": (
        lambda: interop.params_from_haiku(
            {"lstm/linear": {"w": np.ones((3, 12)), "b": np.ones(12)}}, LSTMParams
        ),
        '"lstm/linear/w": expected more than 3 rows, those of the input and of the 3 '
        "hidden units; got 3",
    ),
    "reset after, to haiku": (
        lambda: interop.to_haiku(params_of(AFTER)),
        "expected no b_hn, because hk.GRU resets before the product; got one, "
        "as of gru(reset_after=True)",
    ),
    "kind for haiku": (lambda: interop.params_from_haiku({}, MGUParams), "Haiku has"),
    "kind to haiku": (lambda: interop.to_haiku(params_of(mgu())), "got MGUParams"),
    "equinox's missing": (
        lambda: interop.params_from_equinox(
            {"weight_ih": np.ones((12, 2))}, LSTMParams
        ),
        'expected arrays of LSTMParams named "weight_ih", "weight_hh"; missing: '
        '"weight_hh", unexpected: none',
    ),
    "equinox's bias": (
        lambda: interop.params_from_equinox(
            {
                "weight_ih": np.ones((9, INPUTS)),
                "weight_hh": np.ones((9, FEATURES)),
                "bias": np.ones(9),
            },
            GRUParams,
        ),
        'missing: "bias_n", unexpected: none',
    ),
    "reset before, to equinox": (
        lambda: interop.to_equinox(params_of(BEFORE)),
        "expected a b_hn, because eqx.nn.GRUCell resets after the product; got None",
    ),
    "kind for equinox": (
        lambda: interop.params_from_equinox({}, ElmanParams),
        "expected parameters that Equinox has, LSTMParams or GRUParams; got "
        "ElmanParams",
    ),
    "kind to equinox": (lambda: interop.to_equinox(params_of(ELMAN)), "got Elman"),
}


@pytest.mark.parametrize("call, message", ERRORS.values(), ids=ERRORS)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tensor_that_numpy_does_not_take():
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    arrays = {n: torch.ones(a.shape) for n, a in tensors("elman").items()}
    arrays["bias_hh_l0"] = arrays["bias_hh_l0"].bfloat16()
    with pytest.raises(
        ValueError, match=r'"bias_hh_l0": expected an array .* got a Tens'
    ):
        interop.params_from_torch(arrays, ElmanParams)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [3, 4], ids=["other sizes", "equal sizes"])
def test_two_keras_cells_on_top_of_each_other_are_no_two_directions(inputs, bias):
    """Where the sizes are equal, they cannot be distinguished."""
    cells = [nets.lstm().init(jax.random.key(0), n, 4) for n in (inputs, 4)]
    weights = [a for cell in cells for a in interop.to_keras(cell)[: 3 if bias else 2]]
    with pytest.raises(ValueError, match="may be a stack: convert the"):
        interop.params_from_keras(weights, nets.cells.LSTMParams)
    size = len(weights) // 2
    for cell, part in zip(cells, (weights[:size], weights[size:]), strict=True):
        result = interop.params_from_keras(part, nets.cells.LSTMParams)
        chex.assert_trees_all_equal(result[:size], cell[:size])
