"""The steps of the experiment."""

import importlib
import itertools
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from experiments.course import page
from experiments.course.config import Config
from experiments.course.lessons import ALL, LESSONS, Lesson
from experiments.course.page import LessonResult
from experiments.harness import cli, signals
from experiments.harness.claims import Case, Claim
from experiments.harness.pages import Picture
from experiments.harness.rows import read_rows
from experiments.harness.runs import Run


def run(config: Config, results: Run) -> None:
    """Run every lesson that is not complete; write the page of all lessons."""
    seconds = completed(results)
    left = [lesson for lesson in chosen(config) if lesson.experiment not in seconds]
    left_out = [lesson for lesson in left if lesson.data and not config.data_dir]
    if left_out and len(left_out) == len(left) and not seconds:
        names = ", ".join(lesson.experiment for lesson in left_out)
        raise cli.UsageError(
            f"flag --data_dir: name the folder of the data of {names}; there is no "
            "other lesson to run"
        )
    # A mistake is reported before hours are spent.
    flags = {
        lesson.experiment: check(lesson, config)
        for lesson in left
        if lesson not in left_out
    }
    count = len(seconds)
    with tqdm(
        total=count + len(flags), initial=count, unit="lesson", disable=None
    ) as bar:
        for name, given in flags.items():
            bar.set_description(name)
            seconds[name] = run_lesson(name, given, results)
            bar.update()
    parts = {
        part: [
            result_of(lesson, results.path, seconds[lesson.experiment])
            for lesson in some
            if lesson.experiment in seconds
        ]
        for part, some in LESSONS.items()
    }
    missing = [f"{lesson.teaches}: {why_not(lesson)}" for lesson in left_out]
    page.write(results.path / "index.html", parts, missing)
    text = page.markdown(parts) + "\n"
    (results.path / "claims.md").write_text(text, encoding="utf-8")
    for result in itertools.chain(*parts.values()):
        print(f"{result.experiment} ({result.seconds:.0f} s)")
        for sentence in [c.sentence() for c in result.claims] or [result.answer]:
            print(f"  {sentence}")
    for lesson in left_out:
        print(f"{lesson.experiment}: {why_not(lesson)}")


def chosen(config: Config) -> list[Lesson]:
    """The lessons that the flags name.

    Raises:
        cli.UsageError: A name is unknown.
    """
    known = {lesson.experiment: lesson for lesson in ALL}
    for name in config.lessons:
        if name not in known:
            raise cli.UsageError(
                f"flag --lessons: expected some of {', '.join(known)}; got {name!r}"
            )
    return [known[name] for name in config.lessons]


def completed(results: Run) -> dict[str, float]:
    """Seconds of each lesson whose results are complete."""
    return {
        row["lesson"]: row["seconds"]
        for row in results.logged()
        if row["kind"] == "lesson" and is_complete(results.path / row["lesson"])
    }


def is_complete(folder: pathlib.Path) -> bool:
    """Whether a lesson has published its report."""
    return any(row["kind"] == "report" for row in read_rows(folder))


def why_not(lesson: Lesson) -> str:
    """The reason why a lesson was left out."""
    return f"not run, as `--data_dir` names no folder for {lesson.experiment}."


def check(lesson: Lesson, config: Config) -> list[str]:
    """The flags of a lesson's command.

    Raises:
        cli.UsageError: The flags are refused, ask for help, or name another folder.
        train.DataError: The data of the lesson are missing.
    """
    try:
        words = shlex.split(config.flags)
    except ValueError as error:
        raise cli.UsageError(
            f"flag --flags: expected words as a shell reads them; got "
            f"{config.flags!r} ({error})"
        ) from None
    flags = [*([f"--data_dir={config.data_dir}"] if lesson.data else []), *words]
    module = importlib.import_module(f"experiments.{lesson.experiment}")
    try:
        read, folder = cli.parse(module.Config, flags)
        if lesson.data and read is not None:
            module.load(read)
    except cli.UsageError as error:
        raise cli.UsageError(f"lesson {lesson.experiment}: {error}") from None
    if read is None or folder is not None:
        raise cli.UsageError(
            f"flag --flags: expected flags other than --help and --results; got "
            f"{config.flags!r}"
        )
    return flags


def run_lesson(name: str, flags: Sequence[str], results: Run) -> float:
    """Run a lesson in a separate process, into the folder of the course.

    Returns:
        Seconds of the run.

    Raises:
        cli.UsageError: The lesson refused its flags or its data.
        ChildProcessError: The lesson failed.
    """
    command = [sys.executable, "-m", f"experiments.{name}"]
    form = results.figures
    if form != cli.FigureFlags():
        command += [f"--figures={','.join(form.figures)}", f"--style={form.style}"]
    folder = results.path / name
    # Left by a course that was interrupted before the lesson was logged.
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    code = signals.run(
        [*command, *flags, "--resume", f"--results={os.path.relpath(folder)}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - began
    if code == 2:
        raise cli.UsageError(f"the lesson {name} was refused; see its message above")
    if code:
        raise ChildProcessError(f"the lesson {name} failed; see its message above")
    if not is_complete(folder):
        raise ChildProcessError(f"the lesson {name} left no report in {folder}")
    results.log(kind="lesson", lesson=name, seconds=seconds)
    return seconds


def result_of(lesson: Lesson, course: pathlib.Path, seconds: float) -> LessonResult:
    """The results of a lesson, read from its folder."""
    folder = course / lesson.experiment
    rows = read_rows(folder)
    report = [row for row in rows if row["kind"] == "report"][-1]
    metadata = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return LessonResult(
        lesson.experiment,
        lesson.teaches,
        report["title"],
        metadata["command"],
        report["answer"],
        [claim_of_row(row) for row in rows if row["kind"] == "claim"],
        report["findings"],
        [
            Picture((folder / name).read_bytes(), caption, report["alt"][name])
            for name, caption in report["figures"].items()
        ],
        seconds,
    )


def claim_of_row(row: Mapping[str, Any]) -> Claim:
    """A claim, from its row in metrics.jsonl."""
    cases = [Case(*case) for case in row["cases"]]
    return Claim(row["text"], row["outcome"], row["evidence"], cases)
