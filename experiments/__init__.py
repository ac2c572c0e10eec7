"""The questions: each module is an experiment, `python -m experiments.NAME --help`."""
