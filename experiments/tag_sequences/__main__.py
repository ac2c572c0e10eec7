"""The command `python -m experiments.tag_sequences`."""

from experiments.harness import cli
from experiments.tag_sequences import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
