"""The command `python -m experiments.published`."""

from experiments.harness import cli
from experiments.published import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
