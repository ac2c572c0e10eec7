"""The command `python -m experiments.mnist1d`."""

from experiments.harness import cli
from experiments.mnist1d import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
