"""Which images does a convolutional network misread, and what does each layer see?

    python -m experiments.image_classification --data=digits
    python -m experiments.image_classification --data=mnist1d --describe
    python -m experiments.image_classification --data_dir=FOLDER --model=lenet5

Each data set has a reference: a network and a training schedule whose accuracy is
known. The reference runs unless flags change it. The figures show the confusion matrix,
the misread images, the filters, and the feature maps of one image from the first layer
to the last.
"""

from experiments.image_classification.config import TOGETHER, Config

__all__ = ["TOGETHER", "Config", "run", "scores"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.image_classification import experiment

    experiment.run(config, results)


def scores(configs):
    """Accuracies of networks that differ in `TOGETHER` only."""
    from experiments.image_classification import experiment

    return experiment.scores(configs)
