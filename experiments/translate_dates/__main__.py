"""The command `python -m experiments.translate_dates`."""

from experiments.harness import cli
from experiments.translate_dates import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
