"""Which claims of the course are true? All of its experiments on one page.

    python -m experiments.course --results=results/course
    python -m experiments.course --lessons=gates,edges --flags="--seeds=0"

Each lesson is an experiment at its defaults. It runs as a separate command and writes
its folder into the folder of the course. `index.html` shows every claim, its outcome
over the seeds, and the figures; it opens offline. An interrupted course is resumed if
its command is given again with `--resume`. So is a complete one, to add lessons. The
lesson on music needs the chorales, which must be downloaded first: `--data_dir` names
their folder.
"""

from experiments.course.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.course import experiment

    experiment.run(config, results)
