"""The memory of a training, as XLA plans it for each chip."""

import importlib.util
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache
from jax.sharding import Mesh, SingleDeviceSharding

import nets
import train
from experiments.capacity.config import DEFAULT_TOPOLOGY, MOST_TIME, TPU, Config
from experiments.harness import cells, cli, machine
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier
from train.members import DATA, STUDY, Members, missing
from train.program import compiled, many_steps, step_of_all

LEARNING_RATE, CLIP_NORM, STEPS_PER_CALL = 3e-3, 1.0, 20  # of other experiments
ENOUGH = 0.95  # of the memory is taken by the longest sequences
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
# Without these, libtpu looks for the machine of a TPU, and warns that there is none.
OFFLINE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Setting(NamedTuple):
    """A training whose memory is measured.

    Attributes:
        cell: Name of the cell.
        study: Number of chips over which the members are divided.
        data: Number of chips over which the examples of a step are divided.
        batch_size: Examples per step of each member.
        features: Hidden units.
        time: Steps of the sequences.
    """

    cell: str
    study: int
    data: int
    batch_size: int
    features: int
    time: int

    @property
    def chips(self) -> str:
        """The chips, as the flag has them."""
        return f"{self.study}x{self.data}"


class Memory(NamedTuple):
    """Bytes of a training on each chip.

    Attributes:
        setting: The training.
        temporary: Bytes of temporary arrays.
        arguments: Bytes of parameters, optimizer states, data and indices; 0 if the
            compiler refused the program, as its temporary arrays do not fit.
        outputs: Bytes of the new parameters and optimizer states that do not take the
            place of arguments.
        limit: Bytes of a chip; None if unknown.
    """

    setting: Setting
    temporary: int
    arguments: int
    outputs: int
    limit: int | None

    @property
    def total(self) -> int:
        """Bytes of all arrays."""
        return self.temporary + self.arguments + self.outputs

    @property
    def fits(self) -> bool | None:
        """Whether all arrays fit; None if the memory of the chip is unknown."""
        return None if self.limit is None else self.total <= self.limit


def devices(config: Config) -> Sequence[Any]:
    """The devices to compile for, attached or of a topology."""
    if config.platform != TPU:
        if config.topology:
            raise cli.UsageError(
                f"flag --topology={config.topology}: expected --platform={TPU} with it"
            )
        return jax.devices()
    if importlib.util.find_spec("libtpu") is None:
        raise cli.UsageError(
            f"flag --platform={TPU}: programs for TPUs are compiled by the package "
            "libtpu, which is not installed; run: pip install libtpu"
        )
    os.environ.update(OFFLINE | os.environ)
    # libtpu ends the process at a flag of another platform (see LIBTPU_INIT_ARGS).
    os.environ.pop("XLA_FLAGS", None)
    # JAX cannot read compiled programs of absent devices back from its cache.
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    name = config.topology or DEFAULT_TOPOLOGY
    try:
        return topologies.get_topology_desc(name, "tpu").devices
    except (jax.errors.JaxRuntimeError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise cli.UsageError(f"flag --topology={name}: {why}") from error


def limit(device: Any, chips: int) -> int | None:
    """Bytes that a device has for arrays; None if unknown.

    Args:
        device: A device, attached or of a topology.
        chips: Number of devices in use. Those of a CPU share its memory.
    """
    if device.platform == "cpu":
        return machine.memory() // chips
    if device in jax.devices():
        return machine.memory()
    # The compiler for a TPU knows its memory, and reports it when a program needs more.
    huge = jax.ShapeDtypeStruct(
        (2**20, 2**20), jnp.float32, sharding=SingleDeviceSharding(device)
    )
    try:
        jax.jit(lambda x: x + 1).lower(huge).compile()
    except jax.errors.JaxRuntimeError as error:
        return _bytes(r"available \w+ \((.*?)\)", str(error))
    return None


def measure(
    setting: Setting, config: Config, devices: Sequence[Any], limit: int | None
) -> Memory:
    """Compile a training, and read what XLA plans for each chip."""
    try:
        program = compile_training(setting, config, devices)
    except jax.errors.JaxRuntimeError as error:
        needed = _bytes(r"total memory required .*?\((.*?)\)", str(error))
        if needed is None:
            raise
        return Memory(setting, needed, 0, 0, limit)
    analysis = program.memory_analysis()
    if analysis is None:
        raise cli.UsageError(
            f"expected a platform for which XLA analyzes memory; "
            f"{devices[0].platform} does not"
        )
    return Memory(
        setting,
        analysis.temp_size_in_bytes,
        analysis.argument_size_in_bytes,
        analysis.output_size_in_bytes - analysis.alias_size_in_bytes,
        limit,
    )


def _bytes(pattern: str, text: str) -> int | None:
    """A number of bytes in a message of the compiler, such as "15.75G"."""
    match = re.search(pattern, " ".join(text.split()))
    number = match and re.fullmatch(r"([\d.]+)([KMGTP]?)", match[1])
    return int(float(number[1]) * UNITS.get(number[2], 1)) if number else None


def classifier(setting: Setting, config: Config) -> SequenceClassifier:
    """The network of a training."""
    cell = cells.named(setting.cell, config.inputs, setting.features)
    return SequenceClassifier(cell, setting.features, config.classes)


def compile_training(setting: Setting, config: Config, devices: Sequence[Any]) -> Any:
    """The program of `train.fit` for a training, compiled from shapes alone."""
    model = classifier(setting, config)
    optimizer = train.make_optimizer("adam", LEARNING_RATE, CLIP_NORM)
    used = np.array(devices[: setting.study * setting.data])
    mesh = Mesh(used.reshape(setting.study, setting.data), (STUDY, DATA))
    count = config.members + missing(config.members, mesh)

    def arrays(*shape, dtype: Any = jnp.float32) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    def init(key):
        params = model.init(key, jnp.zeros((1, setting.time, config.inputs)))["params"]
        return train.init_state(optimizer, params, key)

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), count))
    members = Members(
        jax.eval_shape(jax.vmap(init), keys),
        arrays(count, dtype=bool),
        arrays(count, dtype=int),
    )
    data = (
        arrays(config.examples, setting.time, config.inputs),
        arrays(config.examples, dtype=int),
    )
    step = step_of_all(loss_of(model), optimizer, mesh=mesh)
    order = arrays(STEPS_PER_CALL, count, setting.batch_size, dtype=jnp.int32)
    probed = arrays(STEPS_PER_CALL, dtype=bool)
    with jax.disable_jit(False):  # compile without running
        return compiled(
            many_steps(step, None, 0), mesh, members, order, probed, data, {}
        )


def members_at_once(members: int, device: Any) -> int:
    """Number of members of a device whose activations exist at the same time.

    On a CPU, `train.fit` takes the step of one member after the other.
    """
    return 1 if device.platform == "cpu" else members


def saved_bytes(setting: Setting, config: Config) -> tuple[int, int]:
    """Bytes that the length of a sequence adds to a training, per example and step.

    Args:
        setting: The training.
        config: The flags.

    Returns:
        Bytes of the activations that back-propagation saves, counted as the residuals
        of `jax.vjp`, without a compiler; and bytes of the output of the layer.
    """
    model = classifier(setting, config)
    loss_fn = loss_of(model)

    def residuals(time):
        batch = jnp.zeros((1, time, config.inputs)), jnp.zeros(1, int)

        def backward(key):
            params = model.init(key, batch[0])["params"]
            return jax.vjp(lambda p: loss_fn(p, batch, key), params)[1]

        return size(backward)

    def size(function):
        leaves = jax.tree.leaves(jax.eval_shape(function, jax.random.key(0)))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    def outputs(key):
        params = model.cell.init(key, config.inputs, setting.features)
        return nets.unroll(model.cell, params, jnp.zeros((1, config.inputs)))[1]

    return (residuals(4) - residuals(2)) // 2, size(outputs)


def longest(
    line: Sequence[Memory], config: Config, devices: Sequence[Any]
) -> Memory | None:
    """The memory of the longest sequences that fit on the chips.

    The line through two lengths estimates the length, which is rounded down to two
    digits and compiled. The next line goes through this length and the longest given.

    Args:
        line: Trainings that differ in their time only, in ascending order.
        config: The flags.
        devices: The devices.

    Returns:
        A training that fits; None if none was found in four attempts.
    """
    first, last, best = line[max(len(line) - 2, 0)], line[-1], None
    limit, steps = last.limit, last.setting.time - first.setting.time
    growth = last.total - first.total
    for _ in range(4):
        if limit is None or steps < 1 or growth <= 0:
            break
        time = last.setting.time + (limit - last.total) * steps // growth
        time = rounded_down(min(time, MOST_TIME))
        if time < 1 or (best and time <= best.setting.time):
            break
        memory = measure(last.setting._replace(time=time), config, devices, limit)
        if memory.fits:
            best = memory
            if memory.total > ENOUGH * limit or time == MOST_TIME:
                break
        steps, growth = time - last.setting.time, memory.total - last.total
        growth += 0 if memory.fits else growth // 20  # then a little shorter
    return best


def rounded_down(number: int) -> int:
    """A number with all but its first two digits replaced by zeros.

    Example:
        >>> rounded_down(5678), rounded_down(7), rounded_down(-3)
        (5600, 7, -3)
    """
    unit = 10 ** max(len(str(number)) - 2, 0)
    return number // unit * unit if number > 0 else number
