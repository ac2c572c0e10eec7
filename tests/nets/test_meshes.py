"""Batches split over devices: by shard_map as it checks by default, on explicit meshes.

A mesh of one device asks for the same types as one of many; the numbers are compared on
two, in a process of their own.
"""

import os
import subprocess
import sys
from functools import partial
from typing import Any

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import TIME, each_kind, example
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import nets

BATCH = 4
ROWS, COLUMNS = P("batch"), P(None, "batch")


def mesh(kind: AxisType):
    return jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(kind,))


def call(program, *args):
    return program(*args)


def by_shard_map(function, args, specs, out: Any = COLUMNS, then=call):
    """A function of each device's share."""
    split = jax.shard_map(
        function, mesh=mesh(AxisType.Auto), in_specs=specs, out_specs=out
    )
    return then(jax.jit(split), *args)


def by_types(function, args, specs, out: Any = COLUMNS, then=call):
    """A function of arrays whose types say where they are."""
    explicit = mesh(AxisType.Explicit)
    with jax.set_mesh(explicit):
        put = [
            jax.device_put(a, NamedSharding(explicit, spec))
            for a, spec in zip(args, specs, strict=True)
        ]
        return then(jax.jit(function), *put)


WAYS = by_shard_map, by_types


@each_kind
def test_every_kind_of_cell_has_the_types(cell):
    """Types are checked where a program is written: none is compiled."""
    params, xs, _ = example(cell, BATCH)

    def run(params, xs):
        def loss(xs):
            ys = nets.unroll(cell, params, xs)[1]
            return (ys**2).sum(), ys

        return jax.grad(loss, has_aux=True)(xs)

    def shapes(program, *args):
        return [a.shape for a in program.lower(*args).out_info]

    whole = [a.shape for a in jax.eval_shape(run, params, xs)]
    for split in WAYS:
        specs, out = (P(), COLUMNS), (COLUMNS, COLUMNS)
        assert split(run, (params, xs), specs, out, then=shapes) == whole


def test_the_gradient_of_a_split_batch():
    def run(params, xs):
        def loss(xs):
            ys = nets.unroll(LSTM, params, xs)[1]
            return (ys**2).sum(), ys

        return jax.grad(loss, has_aux=True)(xs)

    whole = jax.jit(run)(PARAMS, XS)
    for split in WAYS:
        parts = split(run, (PARAMS, XS), (P(), COLUMNS), out=(COLUMNS, COLUMNS))
        for got, wanted in zip(parts, whole, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


LSTM, LINEAR = nets.lstm(), nets.min_gru()
PARAMS, XS, FIRST = example(LSTM, BATCH)
LENGTHS = jnp.array([TIME, 3, 0, 1])
MASK = jnp.ones((TIME, BATCH), bool).at[2].set(False)
STACK = nets.stack(nets.bidirectional(LSTM), LSTM)
LEARNED = nets.learned_state(LSTM)


def outputs(cell=LSTM, **options):
    return lambda params, xs: nets.unroll(cell, params, xs, **options)[1]


def init(maker):
    return maker.init(jax.random.key(0), cases.INPUTS, cases.FEATURES)


CALLS = {
    "lengths": (lambda p, x, n: outputs(lengths=n)(p, x), (LENGTHS,), (ROWS,)),
    "mask": (lambda p, x, m: outputs(mask=m)(p, x), (MASK,), (COLUMNS,)),
    "reverse": (outputs(reverse=True), (), ()),
    "remat": (outputs(remat=True), (), ()),
    "truncate": (outputs(truncate=2), (), ()),
    "a given state": (
        lambda p, x, s: nets.unroll(LSTM, p, x, s)[1],
        (FIRST,),
        (ROWS,),
    ),
    "a state of zeros": (
        lambda p, x: nets.unroll(LSTM, p, x, LSTM.initial_state(p, x[0]))[1],
        (),
        (),
    ),
    "perturbations": (
        lambda p, x: outputs(perturbations=nets.flow.zero_perturbations(LSTM, p, x))(
            p, x
        ),
        (),
        (),
    ),
    "all states": (
        lambda p, x: nets.unroll(LSTM, p, x, all_states=True)[0].cell,
        (),
        (),
    ),
    "state gradients": (
        lambda p, x: (
            nets.flow.state_gradients(LSTM, p, x, lambda state, ys: (ys**2).sum())[
                1
            ].cell
        ),
        (),
        (),
    ),
    "a stack": (
        lambda p, x, n: STACK.apply(init(STACK), x, lengths=n)[1],
        (LENGTHS,),
        (ROWS,),
    ),
    "parallel": (
        lambda p, x, n: nets.unroll(
            LINEAR, init(LINEAR), x, parallel=True, lengths=n, reverse=True
        )[1],
        (LENGTHS,),
        (ROWS,),
    ),
    "newton": (
        lambda p, x, n: outputs(parallel="newton", lengths=n)(p, x),
        (LENGTHS,),
        (ROWS,),
    ),
    "a learned state": (lambda p, x: outputs(LEARNED)(init(LEARNED), x), (), ()),
    "a key": (
        lambda p, x: (
            0 * outputs(nets.recurrent_dropout(LSTM, 0.5), key=jax.random.key(0))(p, x)
        ),
        (),
        (),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_option(name):
    function, more, specs = CALLS[name]
    args = PARAMS, XS, *more
    whole = jax.jit(function)(*args)
    for split in WAYS:
        parts = split(function, args, (P(), COLUMNS, *specs))
        np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_numbers_of_two_devices():
    """A gradient by zeros that all devices share would be the sum over them."""
    names = ["lengths", "state gradients", "parallel"]
    code = "import sys, test_meshes as t; assert t.jax.device_count() == 2\n" + "".join(
        f"t.test_every_option({name!r})\n" for name in names
    )
    folder = os.path.dirname(__file__)
    flags = os.environ.get("XLA_FLAGS", "")
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=300,
        env=os.environ
        | {
            "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2",
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([folder, os.path.join(folder, "..", "..")]),
        },
    )


def test_without_a_mesh_the_step_is_traced_once():
    traces = []

    def step(params, state, x):
        traces.append(x)
        return LSTM.step(params, state, x)

    jax.eval_shape(partial(nets.unroll, LSTM._replace(step=step)), PARAMS, XS)
    assert len(traces) == 1
