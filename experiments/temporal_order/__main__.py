"""The command `python -m experiments.temporal_order`."""

from experiments.harness import cli
from experiments.temporal_order import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
