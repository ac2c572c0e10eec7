"""The command `python -m experiments.music`."""

from experiments.harness import cli
from experiments.music import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
