"""The command `python -m experiments.classify_sequences`."""

from experiments.classify_sequences import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
