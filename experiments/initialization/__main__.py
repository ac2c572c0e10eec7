"""The command `python -m experiments.initialization`."""

from experiments.harness import cli
from experiments.initialization import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
