"""The command `python -m experiments.hyperparameters`."""

from experiments.harness import cli
from experiments.hyperparameters import Config, run

if __name__ == "__main__":
    cli.main(Config, run, resumable=True)
