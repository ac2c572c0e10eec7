"""The command `python -m experiments.image_classification`."""

from experiments.harness import cli
from experiments.image_classification import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
