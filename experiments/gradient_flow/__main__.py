"""The command `python -m experiments.gradient_flow`."""

from experiments.gradient_flow import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
