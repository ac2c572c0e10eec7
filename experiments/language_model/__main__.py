"""The command `python -m experiments.language_model`."""

from experiments.harness import cli
from experiments.language_model import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
