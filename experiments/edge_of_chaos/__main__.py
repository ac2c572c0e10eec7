"""The command `python -m experiments.edge_of_chaos`."""

from experiments.edge_of_chaos import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
