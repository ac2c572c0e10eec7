"""The command `python -m experiments.vanishing`."""

from experiments.harness import cli
from experiments.vanishing import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
