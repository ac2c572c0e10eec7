"""The command `python -m experiments.atlas`."""

from experiments.atlas import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
