"""The command `python -m experiments.course`."""

from experiments.course import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run, resumable=True)
