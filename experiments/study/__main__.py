"""The command `python -m experiments.study`."""

from experiments.harness import cli
from experiments.study import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
