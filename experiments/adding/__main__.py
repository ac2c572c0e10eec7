"""The command `python -m experiments.adding`."""

from experiments.adding import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
