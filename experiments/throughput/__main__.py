"""The command `python -m experiments.throughput`."""

import os

from experiments.harness import cli
from experiments.throughput import Config, run

if __name__ == "__main__":
    # Several processes share an accelerator, so that none may take most of its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    cli.main(Config, run)
