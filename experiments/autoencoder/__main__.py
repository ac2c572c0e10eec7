"""The command `python -m experiments.autoencoder`."""

from experiments.autoencoder import Config, run
from experiments.harness import cli

if __name__ == "__main__":
    cli.main(Config, run)
