"""The command `python -m experiments.submit`."""

from experiments.harness import cli
from experiments.submit import Config, run

if __name__ == "__main__":
    cli.main(Config, run, keeps_results=False)
