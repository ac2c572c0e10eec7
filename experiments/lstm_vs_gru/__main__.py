"""The command `python -m experiments.lstm_vs_gru`."""

from experiments.harness import cli
from experiments.lstm_vs_gru import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
