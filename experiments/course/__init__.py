"""What is true of what the course teaches? All of its experiments, on one page.

    python -m experiments.course --results=results/course

Each lesson is an experiment at its defaults, run by a command of its own, which leaves
its folder beside the others. `index.html` shows every claim, what the seeds say of it,
and the figures; it opens offline. An interrupted course goes on where it stopped if its
command is given again with --resume, and a complete one takes more lessons so. The
chorales of the lesson on music have to be had first: `--data_dir` names their folder.
"""

from experiments.course.experiment import Config, run

__all__ = ["Config", "run"]
