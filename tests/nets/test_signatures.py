"""The signatures that `help` prints."""

import importlib
import inspect
import pydoc
from typing import Any

import nets
from nets import signatures
from nets.flow import state_gradients

PACKAGES = (
    *("nets", "nets.blocks", "nets.cells", "nets.convolutional", "nets.decoding"),
    *("nets.flow", "nets.initializers", "nets.interop", "nets.models", "nets.probes"),
    "nets.recurrent",
)
LONGEST = 600  # characters


def functions():
    return {
        f"{package}.{name}": getattr(importlib.import_module(package), name)
        for package in PACKAGES
        for name in importlib.import_module(package).__all__
        if inspect.isfunction(getattr(importlib.import_module(package), name))
    }


def test_signatures_are_readable():
    texts = {name: str(inspect.signature(made)) for name, made in functions().items()}
    assert len(texts) > 150
    for name, text in texts.items():
        mangled = [" at 0x", "jaxtyping.", "typing.", "_jax", "*args, **kwargs", "<"]
        assert not [part for part in mangled if part in text], (name, text)
        assert len(text) <= LONGEST, (name, text)


def test_help_has_one_parameter_per_line():
    lines = pydoc.plain(pydoc.render_doc(state_gradients)).splitlines()
    assert lines[2:10] == [
        "state_gradients(",
        "    cell: Cell | RecurrentLayer,",
        "    params: Params,",
        "    xs: PyTree[Shaped[Array, '...']],",
        "    loss: Callable[[State, Any], Float[Array, '']],",
        "    state: State | None = None,",
        "    **options: Any,",
        ") -> tuple[Float[Array, ''], State]",
    ]


def test_parameters_are_the_objects():
    signature = inspect.signature(nets.lstm)
    init = signature.parameters["init"]
    assert init.default is nets.initializers.orthogonal
    assert init.annotation is nets.initializers.Initializer
    bound = signature.replace(return_annotation=int).bind(2.0)
    assert bound.arguments == {"forget_bias": 2.0}


def test_a_function_without_source_prints_as_usual():
    space: dict[str, Any] = {"__all__": ["made"]}
    exec("def made(a: int, *, b: int = 2) -> int: return a", space)
    signatures.as_written(space)
    assert str(inspect.signature(space["made"])) == "(a: int, *, b: int = 2) -> int"
