"""What a command leaves, as the tests read it."""

import json
import pathlib
from typing import NamedTuple

LEAKY = """
import jax, jax.numpy as jnp, nets

def _step(params, state, x):
    state = {keep} * state + x @ params
    return state, jnp.tanh(state)

leaky = nets.Cell(
    init=lambda key, inputs, features: jax.random.normal(key, (inputs, features)),
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], w.shape[-1])),
    step=_step,
)
"""


class Done(NamedTuple):
    """What a command leaves, its files apart."""

    returncode: int
    stdout: str
    stderr: str


def rows(folder: pathlib.Path, kind: str) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]
