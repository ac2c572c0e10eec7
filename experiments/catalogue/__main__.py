"""The command `python -m experiments.catalogue`."""

from experiments.catalogue import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
