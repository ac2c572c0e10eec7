"""The steps of the command."""

import io
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.export.config import FIRST, Config
from experiments.harness import cli
from experiments.harness.saved import SavedRun, open_run
from nets import interop
from nets.interop import files
from nets.interop.names import flatten


def run(config: Config) -> None:
    """Write the file."""
    saved = open_run(config.run)
    name = network_of(saved, config.cell)
    seed = saved.seeds(name)[0] if config.seed == FIRST else config.seed
    params = saved.params(name, seed, config.step or None)
    arrays = converted(params, config.to)
    try:
        write(config.file, arrays, config.to)
    except (OSError, ValueError) as error:
        raise cli.UsageError(f"cannot write {config.file}: {error}") from None
    print(f"{name}, seed {seed}: {len(arrays)} arrays in {config.file}")


def network_of(saved: SavedRun, name: str) -> str:
    """The network to export; the only one if none is named."""
    if name or len(saved.names) == 1:
        saved.steps(name or saved.names[0])  # fails for an unknown name
        return name or saved.names[0]
    raise cli.UsageError(
        f"flag --cell: expected one of {', '.join(map(repr, saved.names))}; got none"
        if saved.names
        else f"run {saved.folder} has kept no network, as it trained none"
    )


def converted(params: Any, to: str) -> dict[str, jax.Array]:
    """Arrays by name, as a format has them.

    Args:
        params: Parameters of one seed.
        to: One of `FORMATS`.

    Returns:
        Arrays.

    Raises:
        UsageError: The other library has no such part.

    Example:
        >>> import nets
        >>> cell = nets.gru().init(jax.random.key(0), 3, 8)
        >>> params = {"recurrent": {"cell": cell}}
        >>> list(converted(params, "safetensors"))[0]
        'recurrent.cell.w_i'
        >>> list(converted(params, "torch_names"))[0]
        'recurrent.weight_ih_l0'
        >>> list(converted(params, "keras"))
        ['recurrent/0', 'recurrent/1', 'recurrent/2']
    """
    if to == "safetensors":
        return flatten(params, ".")
    if not isinstance(params, Mapping):
        params = params._asdict()
    convert = torch_part if to == "torch_names" else keras_part
    arrays = {}
    for part, of_part in params.items():
        try:
            arrays |= convert(part, of_part)
        except (ValueError, KeyError, AttributeError) as error:
            raise cli.UsageError(
                f"flag --to: {to} has no part such as {part!r}: {error}"
            ) from None
    return arrays


def torch_part(part: str, params: Any) -> dict[str, jax.Array]:
    """Arrays of one part of a network with PyTorch's names."""
    if (layer := recurrent(params)) is not None:
        return interop.to_torch(layer, f"{part}.")
    if set(params) == {"embedding"}:
        return {f"{part}.weight": params["embedding"]}
    weight, bias = dense(params)
    return {f"{part}.weight": weight.T, f"{part}.bias": bias}


def keras_part(part: str, params: Any) -> dict[str, jax.Array]:
    """Arrays of one part of a network in the order of Keras's `set_weights`."""
    if (layer := recurrent(params)) is not None:
        arrays = interop.to_keras(layer)
    elif set(params) == {"embedding"}:
        arrays = [params["embedding"]]
    else:
        arrays = dense(params)
    return {f"{part}/{i}": array for i, array in enumerate(arrays)}


def recurrent(params: Any) -> Any:
    """Parameters of the cell or cells of a recurrent part; None for another part."""
    if not isinstance(params, Mapping):
        raise ValueError("it is not a layer of Linen")
    return params.get("cell", params.get("cells"))


def dense(params: Mapping[str, Any]) -> list[jax.Array]:
    """Kernel and bias of a dense part."""
    if set(params) != {"kernel", "bias"} or jnp.ndim(params["kernel"]) != 2:
        raise ValueError(
            f"expected a recurrent, a dense or an embedding layer; got {list(params)}"
        )
    return [params["kernel"], params["bias"]]


def write(file: str, arrays: Mapping[str, jax.Array], to: str) -> None:
    """Write the arrays; the file is complete or unchanged."""
    if to != "keras":
        interop.save_safetensors(file, dict(arrays))
        return
    named: Any = {name: np.asarray(array) for name, array in arrays.items()}
    archive = io.BytesIO()
    np.savez(archive, **named)
    files.write(file, archive.getvalue())
