"""The command `python -m experiments.gates`."""

from experiments.gates import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
