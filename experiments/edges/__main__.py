"""The command `python -m experiments.edges`."""

from experiments.edges import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
