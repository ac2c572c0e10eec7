"""The command `python -m experiments.capacity`."""

from experiments.capacity import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
