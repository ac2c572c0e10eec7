"""The questions: each module is an experiment, `python -m experiments.NAME --help`."""

from experiments import process

if (_asked := process.asked()) is not None:
    process.begin(_asked)
