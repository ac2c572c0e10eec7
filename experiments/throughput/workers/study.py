"""All members in the compiled program of `train.fit`."""

import jax

from experiments.harness import devices, machine
from experiments.throughput.workers import protocol
from experiments.throughput.workers.network import initial_params, loss_fn_of, optimizer

STEPS = 20  # of a call, as in `train.fit`


def main() -> None:
    """Serve times of the study."""
    task = protocol.task()
    jax.config.update("jax_num_cpu_devices", task.cores)  # accelerators are all used
    machine.keep_compiled()

    from train import loop
    from train.calls import Plan, prepare
    from train.program import step_of_all

    mesh = devices.mesh(task.members, task.batch_size) if task.cores > 1 else None
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
