"""All members in the compiled program of `train.fit`."""

import jax

from experiments.harness import machine
from experiments.throughput.workers import protocol
from experiments.throughput.workers.network import initial_params, loss_fn_of, optimizer

STEPS = 20  # of a call, as in `train.fit`


def main() -> None:
    """Serve times of the study."""
    task = protocol.task()
    if jax.config.values["jax_platforms"] in (None, "", "cpu"):
        jax.config.update("jax_num_cpu_devices", task.cores)
    machine.keep_compiled()
    from jax.sharding import AxisType

    from train import loop
    from train.calls import Plan, prepare
    from train.program import step_of_all

    devices = min(len(jax.devices()), task.cores, task.members)
    mesh = None
    if devices > 1:
        axes = ("study", "data")
        mesh = jax.make_mesh((devices, 1), axes, axis_types=(AxisType.Auto,) * 2)
    seeds = range(task.members)
    order_keys, loss_keys = loop.draw_keys(seeds)
    chain, loss_fn = optimizer(), loss_fn_of(task)
    params = initial_params(task)
    start, arguments = loop.init_members(chain, params, loss_keys, {})
    order = loop.draw_order(
        order_keys, protocol.EXAMPLES, task.batch_size, STEPS, start=0
    )
    plan = Plan(0, order, order[:, 0, 0] < 0, [slice(0, STEPS)])
    step = step_of_all(loss_fn, chain, mesh=mesh)
    members, run = prepare(
        step, None, plan, start, protocol.data(task), arguments, mesh
    )

    def take(count):
        nonlocal members
        for first in range(0, count, STEPS):
            members = run(members, plan.parts[0], min(STEPS, count - first)).members

    protocol.serve(take, task.seconds)
