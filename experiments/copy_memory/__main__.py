"""The command `python -m experiments.copy_memory`."""

from experiments.copy_memory import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
