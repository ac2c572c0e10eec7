"""The command `python -m experiments.published`."""

from experiments.published import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
