"""What is true of what the course teaches? All of its experiments, on one page.

    python -m experiments.course --results=results/course

Each lesson is an experiment at its defaults, run by a command of its own, which leaves
its folder beside the others. `index.html` shows every claim, what the seeds say of it,
and the figures; it opens offline. An interrupted course goes on where it stopped if its
command is given again with --resume. The chorales of the lesson on music have to be
had first: `--data_dir` names their folder.
"""

import dataclasses
import importlib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from tqdm import tqdm

from experiments import course_page, launch
from experiments.course_page import Told
from experiments.verdicts import Verdict
from train import Run, read_rows


class Lesson(NamedTuple):
    """An experiment of the course.

    Attributes:
        experiment: Its module.
        teaches: The claim of the course, in a few words.
        data: Whether its data are files, in the folder that `--data_dir` names.
    """

    experiment: str
    teaches: str
    data: bool = False


LESSONS = {
    "Sequences": (
        Lesson("vanishing", "Gradients vanish, in a recurrent net and in a deep one"),
        Lesson("gradient_flow", "Cells differ in how far back their gradient reaches"),
        Lesson("gates", "An LSTM's gates hold on to what it has read"),
        Lesson("lstm_vs_gru", "The GRU is simpler, faster, and no worse"),
        Lesson("classify_sequences", "Many to one: a class for a sequence"),
        Lesson("language_model", "Many to many, aligned: the next character"),
        Lesson("draw_digits", "One to many: a picture from a label"),
        Lesson("translate_dates", "Many to many, unaligned: encoder and decoder"),
        Lesson("tag_sequences", "Both directions: a label that needs both sides"),
        Lesson("information", "What each step knows, forward, backward, and both"),
        Lesson("music", "Polyphonic music: many keys at a time", data=True),
    ),
    "Images": (
        Lesson("edges", "A convolution sees edges, and finds them by itself"),
        Lesson("image_classification", "Convolution, pooling, flatten, dense"),
        Lesson("autoencoder", "Upsampling, and what a few numbers keep"),
        Lesson("hyperparameters", "A grid search over learning rates and filters"),
    ),
}
ALL = [lesson for part in LESSONS.values() for lesson in part]


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    lessons: list[str] = launch.flag(
        [lesson.experiment for lesson in ALL], "Experiments to run, in this order."
    )
    data_dir: str = launch.flag(
        "", "A folder with JSB_Chorales.mat; without it there is no lesson on music."
    )
    flags: str = launch.flag(
        "", 'Flags for all of them, such as "--seeds=0 --steps=10", for a trial.'
    )


def run(config: Config, results: Run) -> None:
    """Run every lesson that has not been; write the page of all."""
    known = {lesson.experiment: lesson for lesson in ALL}
    for name in config.lessons:
        if name not in known:
            raise launch.UsageError(
                f"flag --lessons: expected some of {', '.join(known)}; got {name!r}"
            )
    chosen = [known[name] for name in config.lessons]
    runs = {one.experiment: flags_of(one, config) for one in chosen if has(one, config)}
    for name, flags in runs.items():  # a mistake is said before hours are spent
        check(name, flags)
    seconds = {
        row["lesson"]: row["seconds"]
        for row in results.logged()
        if row["kind"] == "lesson"
    }
    with tqdm(total=len(runs), unit="lesson", disable=None) as bar:
        for name, flags in runs.items():
            bar.set_description(name)
            if name not in seconds:
                seconds[name] = learn(name, flags, results)
            bar.update()
    told = {
        name: tell(known[name], results.path, seconds[name], flags)
        for name, flags in runs.items()
    }
    parts = {
        part: [told[one.experiment] for one in some if one.experiment in told]
        for part, some in LESSONS.items()
    }
    left_out = [one for one in chosen if one.experiment not in told]
    course_page.write(
        results.path / "index.html",
        parts,
        [f"{one.teaches}: {why_not(one)}" for one in left_out],
    )
    for name, one in told.items():
        print(f"{name} ({one.seconds:.0f} s)")
        for sentence in [v.text() for v in one.verdicts] or one.findings[:1]:
            print(f"  {sentence}")
    for one in left_out:
        print(f"{one.experiment}: {why_not(one)}")


def has(lesson: Lesson, config: Config) -> bool:
    """Whether there are data for it."""
    return not lesson.data or bool(config.data_dir)


def why_not(lesson: Lesson) -> str:
    """Why a lesson was left out."""
    return f"not run, as `--data_dir` names no folder for {lesson.experiment}."


def flags_of(lesson: Lesson, config: Config) -> list[str]:
    """What a lesson's command says."""
    place = [f"--data_dir={config.data_dir}"] if lesson.data else []
    return [*place, *shlex.split(config.flags)]


def check(name: str, flags: Sequence[str]) -> None:
    """Refuse flags that an experiment does not take.

    Raises:
        launch.UsageError: With its name.
    """
    try:
        launch.parse(importlib.import_module(f"experiments.{name}").Config, flags)
    except launch.UsageError as error:
        raise launch.UsageError(f"lesson {name}: {error}") from None


def learn(name: str, flags: Sequence[str], results: Run) -> float:
    """Run a lesson in a process of its own, into the course's folder.

    Returns:
        How long it took, in seconds.

    Raises:
        launch.UsageError: It was refused, for a mistake in the flags or the data.
        ChildProcessError: It failed.
    """
    command = [sys.executable, "-m", f"experiments.{name}"]
    folder = results.path / name
    # Of a course that was interrupted in the midst of it.
    shutil.rmtree(folder.with_name(folder.name + ".unfinished"), ignore_errors=True)
    began = time.perf_counter()
    done = subprocess.run(
        [*command, *flags, f"--results={os.path.relpath(folder)}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode == 2:
        raise launch.UsageError(f"the lesson {name} was refused, as it says above")
    if done.returncode:
        raise ChildProcessError(f"the lesson {name} failed, as it says above")
    results.log(kind="lesson", lesson=name, seconds=seconds)
    return seconds


def tell(
    lesson: Lesson, course: pathlib.Path, seconds: float, flags: Sequence[str]
) -> Told:
    """What a lesson found, read from the rows that it left."""
    rows = read_rows(course / lesson.experiment)
    reports = [row for row in rows if row["kind"] == "report"]
    verdicts = [
        Verdict(**{name: row[name] for name in Verdict._fields})
        for row in rows
        if row["kind"] == "verdict"
    ]
    sentences = [verdict.text() for verdict in verdicts]
    return Told(
        lesson.experiment,
        lesson.teaches,
        reports[-1]["title"],
        shlex.join(["python", "-m", f"experiments.{lesson.experiment}", *flags]),
        verdicts,
        [text for text in reports[-1]["findings"] if text not in sentences],
        reports[-1]["figures"],
        seconds,
    )


if __name__ == "__main__":
    launch.main(Config, run, resumable=True)
