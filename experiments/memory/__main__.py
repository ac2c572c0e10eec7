"""The command `python -m experiments.memory`."""

from experiments.harness import cli
from experiments.memory import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
