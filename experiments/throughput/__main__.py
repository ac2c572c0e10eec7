"""The command `python -m experiments.throughput`."""

from experiments.harness import cli
from experiments.throughput import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
