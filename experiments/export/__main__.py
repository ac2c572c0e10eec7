"""The command `python -m experiments.export`."""

from experiments.export import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run, keeps_results=False)
