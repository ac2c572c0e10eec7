"""The command `python -m experiments.compare`."""

from experiments.compare import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
