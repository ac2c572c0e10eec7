"""The course: its lessons are run, and one page lists the results."""

import importlib
import json
import pathlib
import re
import shlex
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest
from commands import files, rows
from PIL import Image
from scipy.io import savemat

from experiments.course import experiment as course
from experiments.course import page as course_page
from experiments.course.page import LessonResult
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Claim,
)
from experiments.harness.pages import Picture
from experiments.harness.runs import new_run
from train.data.chorales import FILE, KEYS, PARTS

TINY = "--flags=--seeds=0,1 --steps=2"
EMPTY = {"answer": "It is.", "findings": [], "figures": {}, "alt": {}}


@pytest.fixture
def run(launched):
    return partial(launched, course, resumable=True)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_a_course_is_run_and_resumed(run, tmp_path):
    half = tmp_path / "out.unfinished"
    (half / "edges.unfinished").mkdir(parents=True)  # it was interrupted here
    flags = "--lessons=edges,music", TINY, "--results=out", "--resume"
    code, out, err = run(*flags)
    assert code == 0, err
    folder = tmp_path / "out"
    assert files(folder) == {
        *("config.json", "metrics.jsonl", "index.html", "claims.md", "edges")
    }
    (lesson,) = rows(folder, "lesson")
    assert lesson["lesson"] == "edges" and lesson["seconds"] > 0
    page = (folder / "index.html").read_text()
    table = (folder / "claims.md").read_text()
    assert "python -m experiments.edges --seeds=0,1 --steps=2" in page
    (claim,) = rows(folder / "edges", "claim")
    row = f"\n| [edges](edges) | {claim['text']} | {claim['outcome']} | Sobel"
    assert row in table and table.count("\n") == 3
    for text in (page, out):
        assert claim["text"] in text and claim["evidence"] in text
        assert "not run, as " in text and "--data_dir" in text  # music
    assert page.count("<img ") == len(list((folder / "edges").glob("*.png"))) == 3
    assert (folder / re.findall('href="(edges/[^"]+)"', page)[0]).is_file()
    assert not re.search(r'(src|href)="(?!data:|#|edges/report)', page)  # opens offline

    assert json.loads((folder / "edges" / "config.json").read_text())["command"] == (
        "python -m experiments.edges --seeds=0,1 --steps=2"
    )

    # No lesson is repeated in a course that was interrupted or is complete.
    (folder / "edges" / "report.html").unlink()
    folder.rename(half)
    for _ in range(2):
        code, again, err = run(*flags)
        assert (code, again) == (0, out), err
        assert not (folder / "edges" / "report.html").exists()
        assert (folder / "index.html").read_text() == page


def test_every_lesson_is_an_experiment_that_the_house_has():
    for lesson in course.ALL:
        module = importlib.import_module(f"experiments.{lesson.experiment}")
        assert hasattr(module, "Config") and hasattr(module, "run")
        assert hasattr(module, "load") or not lesson.data


@pytest.fixture
def learn(monkeypatch):
    """Lessons that take no time: the names and flags of those that were run."""
    calls = []

    def run_lesson(name, flags, results):
        calls.append((name, *flags))
        folder = results.path / name
        with new_run(folder, {"command": f"python -m {name}", "config": {}}) as lesson:
            claim = Claim(f"The claim of {name}", SUPPORTED, "1 > 0.")
            lesson.log(kind="claim", **claim._asdict())
            lesson.log(kind="report", **EMPTY, title="Is it?")
        results.log(kind="lesson", lesson=name, seconds=1.0)
        return 1.0

    monkeypatch.setattr(course, "run_lesson", run_lesson)
    return calls


@pytest.fixture
def chorales_here(tmp_path):
    """A folder, its name with a space, that holds piano rolls."""
    pieces = np.empty((1, 8), object)
    pieces[0, :] = [np.eye(20, KEYS) for _ in range(8)]
    folder = tmp_path / "my data"
    folder.mkdir()
    savemat(folder / FILE, dict.fromkeys(PARTS, pieces))
    return f"--data_dir={folder.name}"


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "interrupted"])
def test_music_and_other_lessons_are_added(
    complete, run, learn, chorales_here, tmp_path
):
    flags = "--flags=--batch_size=2", "--results=out", "--resume"
    assert run("--lessons=edges,music", *flags)[0] == 0
    folder, half = tmp_path / "out", tmp_path / "out.unfinished"
    if not complete:
        folder.rename(half)
    code, _, err = run("--lessons=edges,music", chorales_here, *flags)
    assert code == 0, err
    assert learn == [
        ("edges", "--batch_size=2"),
        ("music", chorales_here, "--batch_size=2"),
    ]
    page = (folder / "index.html").read_text()
    assert "2 claims in 2 experiments" in page and "not run, as" not in page
    # Music stays, without the data too, when a third lesson comes.
    assert run("--lessons=music,gates", *flags)[0] == 0
    assert [name for name, *_ in learn] == ["edges", "music", "gates"]
    assert "3 claims in 3 experiments" in (folder / "index.html").read_text()
    assert not half.exists()


def test_a_complete_course_is_as_it_was_if_nothing_is_added(run, learn, tmp_path):
    flags = "--lessons=edges,music", "--results=out", "--resume"
    assert run(*flags)[0] == 0
    before = contents(tmp_path)
    for mistake, sentence in (
        ("--data_dir=nowhere", "JSB_Chorales.mat: expected a readable file"),
        ("--flags=--steps=3", "out belongs to a run with other flags"),
    ):
        code, _, err = run(*flags, mistake)
        assert code == 2 and sentence in err and err.count("\n") == 1
        assert contents(tmp_path) == before
    assert run(*flags[:2])[0] == 2  # not without being asked to
    assert len(learn) == 1


def test_wrong_data_are_refused_before_any_lesson_runs(run, learn, tmp_path):
    code, _, err = run("--lessons=edges,music", "--data_dir=no", "--results=out")
    assert code == 2 and "JSB_Chorales.mat: expected a readable file" in err
    assert err.count("\n") == 1
    assert not learn and not list(tmp_path.iterdir())


def test_a_lesson_that_was_not_logged_or_is_gone_is_run_again(
    run, monkeypatch, tmp_path
):
    def process(command, **_):
        """Leave a report at once, in place of a lesson."""
        folder = pathlib.Path(command[-1].removeprefix("--results="))
        with new_run(folder, {"command": "none", "config": {}}) as lesson:
            lesson.log(kind="report", **EMPTY, title="Q")
        (folder / "report.html").touch()
        return 0

    monkeypatch.setattr(course.signals, "run", process)
    half = tmp_path / "out.unfinished"
    with new_run(half / "edges", {"config": {}}) as lesson:  # a crash came here
        lesson.log(kind="report", **EMPTY, title="An old run")
    flags = "--lessons=edges", TINY, "--results=out", "--resume"
    code, _, err = run(*flags)
    assert code == 0, err
    folder = tmp_path / "out"
    assert len(rows(folder, "lesson")) == 1
    assert "An old run" not in (folder / "index.html").read_text()
    shutil.rmtree(folder / "edges")
    assert run(*flags)[0] == 0
    assert (folder / "edges" / "report.html").exists()


def test_a_lesson_that_leaves_nothing_is_not_logged(run, monkeypatch, tmp_path):
    monkeypatch.setattr(course.signals, "run", lambda *_, **__: 0)
    code, _, err = run("--lessons=edges", "--results=out")
    assert code == 1 and "the lesson edges left no report in" in err
    assert not list(tmp_path.iterdir())


def test_the_form_of_figures_is_passed_on_to_the_lessons(run, monkeypatch):
    commands = []
    monkeypatch.setattr(course.signals, "run", lambda c, **_: commands.append(c) or 1)
    for flags in ([], ["--figures=pdf", "--style=paper"]):
        assert run("--lessons=edges", *flags)[0] == 1
        given = [word for word in commands[-1] if word[:5] in ("--fig", "--sty")]
        assert given == flags


def test_the_page_counts_and_shows(tmp_path):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "one" / "one.png")
    judged = [
        Claim("A < B", SUPPORTED, "1 < 2."),
        Claim("C", REFUTED, "3."),
        Claim("D", INCONCLUSIVE, ""),
    ]
    picture = Picture((tmp_path / "one" / "one.png").read_bytes(), "F", "F is 2.")
    lesson = LessonResult(
        "one", "Less", "Is it?", "python", "It is.", judged, ["E."], [picture], 90
    )
    course_page.write(tmp_path / "index.html", {"Part": [lesson], "None": []}, ["G."])
    page = (tmp_path / "index.html").read_text()
    counts = "1 supported, 1 inconclusive, 1 refuted"
    assert f"3 claims in 1 experiment, 2 minutes: {counts}." in page
    assert page.count("95 % confidence intervals over seeds") == 1
    assert '<a href="#one">A &lt; B</a>' in page and 'id="one"' in page
    assert page.count('alt="F is 2."') == 1
    for text in (
        "It is.",
        "✓ supported:",
        "✗ refuted:",
        "? inconclusive:",
        "E.",
        "G.",
        ">F<",
    ):
        assert text in page
    assert "<h2>Part</h2>" in page and "<h2>None</h2>" not in page


def test_the_sentence_counts_every_outcome():
    counts = {SUPPORTED: 24, PARTLY_SUPPORTED: 12, INCONCLUSIVE: 4, REFUTED: 2}
    judged = [
        Claim("C", outcome, "")
        for outcome, count in counts.items()
        for _ in range(count)
    ]
    lesson = LessonResult("one", "Less", "Is it?", "python", claims=judged, seconds=60)
    assert course_page.counted([lesson, lesson._replace(claims=[])]) == (
        "42 claims in 2 experiments, 2 minutes: 24 supported, 12 partly supported, "
        "4 inconclusive, 2 refuted."
    )
    assert course_page.counted([lesson._replace(claims=judged[:1])]) == (
        "1 claim in 1 experiment, 1 minute: 1 supported."
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_quotes_the_folder_of_the_data():
    output = subprocess.run(
        ["make", "--dry-run", "course", "DATA_DIR=my data"],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
    ).stdout
    (command,) = re.findall(".*experiments.course.*", output)
    assert shlex.split(command)[3] == "--data_dir=my data"
    assert command.endswith("--resume")


MISTAKES = [
    (
        "--lessons=knitting",
        "flag --lessons: expected some of vanishing, gradient_flow, ",
    ),
    ("--flags=--stepz=2", "lesson edges: unknown flag --stepz; did you mean --steps?"),
    ("--flags=--digits=99999", "the lesson edges was refused"),
    ("--flags=--seeds='0", "flag --flags: expected words as a shell reads them; got"),
    ("--flags=--help", "flag --flags: expected flags other than --help and --results"),
    ("--flags=--seeds=0 --helpfull", "flags other than --help and --results; got '--s"),
    ("--flags=--results=there", "flags other than --help and --results; got '--resul"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, _, err = run("--lessons=edges", flag, "--results=out")
    assert code == 2 and sentence in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_course_of_nothing_is_refused(run, tmp_path):
    code, _, err = run("--lessons=music", "--results=out")
    assert code == 2 and "flag --data_dir: name the folder" in err
    assert not list(tmp_path.iterdir())
