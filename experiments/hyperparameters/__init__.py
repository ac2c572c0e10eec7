r"""Which hyperparameters are best for an experiment? A grid search over its flags.

    python -m experiments.hyperparameters --experiment=image_classification \
        --grid="learning_rate=1e-3,3e-3,1e-2;filters=8|8,16|16,32" --set="seeds=0,1"
    python -m experiments.hyperparameters --experiment=gates --grid="features=8,16"

Every combination of the values is run for all seeds. Combinations that differ only in
flags that change no shape (the experiment names them, such as the learning rate) are
trained as one vmapped program; all other combinations run in sequence. An experiment
that trains holds out the last fifth of its training set for validation. The best
combination is then trained on the whole training set and measured on the test set. An
interrupted search is resumed if its command is given again with --results=FOLDER and
--resume.
"""

from experiments.hyperparameters.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.hyperparameters import experiment

    experiment.run(config, results)
