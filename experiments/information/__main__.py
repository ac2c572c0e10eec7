"""The command `python -m experiments.information`."""

from experiments.harness import cli
from experiments.information import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
