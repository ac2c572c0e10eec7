"""What is true of what the course teaches? All of its experiments, on one page.

    python -m experiments.course --results=results/course

Each lesson is an experiment at its defaults, run in a separate process into a folder
next to those of the other lessons. `index.html` shows every claim with its outcome over
seeds, and the figures; it opens offline. With --resume an interrupted course continues,
and a complete course takes more lessons. The lesson on music needs the file of
chorales: `--data_dir` names its folder.
"""

from experiments.course.experiment import Config, run

__all__ = ["Config", "run"]
