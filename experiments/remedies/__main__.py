"""The command `python -m experiments.remedies`."""

from experiments.harness import cli
from experiments.remedies import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
