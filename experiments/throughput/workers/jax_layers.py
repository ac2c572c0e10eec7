"""Layers in JAX: this library, its peers, and the matrix products alone."""

import os
import sys

import jax

from experiments.harness import devices
from experiments.throughput.workers import exponents, programs, server


def main() -> None:
    """Serve; the argument is the number of devices, if it is the CPU's."""
    count = int(sys.argv[1])
    jax.config.update("jax_num_cpu_devices", count)
    if count > 1:  # as in commands that divide batches
        os.environ.setdefault("NPROC", str(devices.THREADS))
    jax.config.update("jax_enable_compilation_cache", False)  # its time is measured
    programs.warm_up()
    server.main(programs.prepare, exponents.describe)
