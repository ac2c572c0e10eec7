"""Which settings let a cell train, and how does its gradient flow there?

    python -m experiments.study --cells=lstm,gru --learning_rate=1e-3,1e-2 --gain=0.5,1
    python -m experiments.study --order=rows --seeds=0:16 --cells=gru --clip_norm=0,1

Every combination of the settings trains from every seed: the learning rate, the norm
that gradients are clipped to, the gain of the recurrent weights at the start, the bias
of the forget gate at the start, and the rate of dropout between cell and classifier.
All models of a cell are members of one compiled program. The held-out accuracy, and the
decay rate of the gradient before and after training, are measured for each member. A
member that diverges is dropped and named, and changes no other member.
"""

from experiments.study.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.study import experiment

    experiment.run(config, results)
