"""Parameters of the networks as PyTorch's modules name and arrange them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

BOTH = ("forward", ""), ("backward", "_reverse")


def state_dict(name: str, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Parameters, or gradients, as the `state_dict` of the authors' module.

    Args:
        name: "linear", "mlp", "cnn", "elman", "lstm" or "gru"; or a pool of the pooling
            table.
        params: Parameters of one seed of `networks.model(name).module`, or of
            `networks.with_pools(name).module`.

    Returns:
        Arrays by name: "layer_0.weight", ... for the layers that have parameters, and
        "recurrent.weight_ih_l0", ... for a recurrent layer.

    Example:
        >>> from nets.convolutional import DenseParams
        >>> layer = DenseParams(np.ones((40, 10)), np.ones(10))
        >>> arrays = state_dict("linear", {"dense_1": {"layer": layer}})
        >>> {name: array.shape for name, array in arrays.items()}
        {'layer_0.weight': (10, 40), 'layer_0.bias': (10,)}
    """
    if "recurrent" in params:
        return _recurrent(params)
    arrays, channels = {}, 1
    for i, key in enumerate(sorted(params, key=lambda key: int(key.split("_")[-1]))):
        (layer,) = params[key].values()
        layer = layer[0] if len(layer) == 1 else layer  # within a skip connection
        weight, bias = map(np.asarray, layer)
        if weight.ndim == 3:  # [size, inputs, filters]
            channels = weight.shape[-1]
            weight = weight.transpose(2, 1, 0)
        else:
            # PyTorch flattens channels first.
            weight = weight.reshape(-1, channels, weight.shape[-1]).swapaxes(0, 1)
            weight, channels = weight.reshape(-1, weight.shape[-1]).T, 1
        arrays |= {f"layer_{i}.weight": weight, f"layer_{i}.bias": bias}
    return arrays


def _recurrent(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A bidirectional layer with two biases, and a dense layer."""
    arrays = {}
    for direction, suffix in BOTH:
        w_i, w_h, b_i, b_h = map(
            np.asarray, getattr(params["recurrent"]["cells"], direction)
        )
        arrays |= {
            f"recurrent.weight_ih_l0{suffix}": w_i.T,
            f"recurrent.weight_hh_l0{suffix}": w_h.T,
            f"recurrent.bias_ih_l0{suffix}": b_i,
            f"recurrent.bias_hh_l0{suffix}": b_h,
        }
    w, b = map(np.asarray, params["dense"]["layer"])
    return arrays | {"layer_0.weight": w.T, "layer_0.bias": b}
