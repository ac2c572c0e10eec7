"""The command `python -m experiments.inspect`."""

from experiments.harness import cli
from experiments.inspect import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
