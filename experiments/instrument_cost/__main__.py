"""The command `python -m experiments.instrument_cost`."""

from experiments.harness import cli
from experiments.instrument_cost import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
