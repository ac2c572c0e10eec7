"""The command `python -m experiments.spectra`."""

from experiments.harness import cli
from experiments.spectra import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
