"""The command `python -m experiments.parallel`."""

from experiments.harness import cli
from experiments.parallel import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
