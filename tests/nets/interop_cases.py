"""Cells and parameters that the tests of conversions share."""

from typing import Any

import cases
import chex
import jax
import numpy as np
from cases import FEATURES, INPUTS

import nets
from nets.cells.projected_lstm import projected_lstm
from nets.recurrent import BidirectionalParams

ELMAN, RELU, LSTM = nets.elman(), nets.elman(jax.nn.relu), nets.lstm()
AFTER, BEFORE = nets.gru(), nets.gru(reset_after=False)
PROJECTED = projected_lstm(projection=2)


def assert_same_bits(one: Any, other: Any) -> None:
    """The same tree, and in it the same bits."""
    chex.assert_trees_all_equal_structs(one, other)
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def params_of(cell, both=False, seed=0) -> Any:
    if both:
        return BidirectionalParams(
            cases.draw_params(cell, seed), cases.draw_params(cell, seed + 1)
        )
    return cases.draw_params(cell, seed)


def tensors(shape_of_layer="lstm", features=FEATURES, **more):
    """Arrays by PyTorch's names, without PyTorch."""
    rows = {"elman": 1, "lstm": 4, "gru": 3}[shape_of_layer] * features
    shapes = {
        "weight_ih_l0": (rows, INPUTS),
        "weight_hh_l0": (rows, features),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    return {name: np.ones(shape) for name, shape in (shapes | more).items()}
