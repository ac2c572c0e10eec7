"""The command `python -m experiments.draw_digits`."""

from experiments.draw_digits import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
