"""The command `python -m experiments.merge`."""

from experiments.harness import cli
from experiments.merge import Config, run

if __name__ == "__main__":
    cli.main(Config, run, keeps_results=False)
