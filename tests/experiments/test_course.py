"""The course: its lessons are run, and one page tells what was found."""

import importlib
import re
from functools import partial

import pytest
from commands import rows
from PIL import Image

from experiments import course, course_page
from experiments.course_page import Told
from experiments.verdicts import FAILS, HOLDS, OPEN, Verdict

TINY = "--flags=--seeds=0,1 --steps=2"


@pytest.fixture
def run(launched):
    return partial(launched, course, resumable=True)


def test_a_course_is_run_and_gone_on_with(run, tmp_path):
    half = tmp_path / "out.unfinished"
    (half / "edges.unfinished").mkdir(parents=True)  # it was interrupted here
    flags = "--lessons=edges,music", TINY, "--results=out", "--resume"
    code, out, err = run(*flags)
    assert code == 0, err
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.jsonl", "index.html", "edges")
    }
    (lesson,) = rows(folder, "lesson")
    assert lesson["lesson"] == "edges" and lesson["seconds"] > 0
    page = (folder / "index.html").read_text()
    assert "python -m experiments.edges --seeds=0,1 --steps=2" in page
    (verdict,) = rows(folder / "edges", "verdict")
    for text in (page, out):
        assert verdict["claim"] in text and verdict["why"] in text
        assert "not run, as " in text and "--data_dir" in text  # music
    assert page.count("<img ") == len(list((folder / "edges").glob("*.png"))) == 3
    assert (folder / re.findall('href="(edges/[^"]+)"', page)[0]).is_file()
    assert not re.search(r'(src|href)="(?!data:|#|edges/report)', page)  # opens offline

    # What was done is not done again.
    folder.rename(half)
    (half / "edges" / "report.html").unlink()
    assert run(*flags)[0] == 0
    assert not (folder / "edges" / "report.html").exists()
    assert (folder / "index.html").read_text() == page


def test_every_lesson_is_an_experiment_that_the_house_has():
    for lesson in course.ALL:
        module = importlib.import_module(f"experiments.{lesson.experiment}")
        assert hasattr(module, "Config") and hasattr(module, "run")


def test_the_page_counts_and_shows(tmp_path):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "one" / "one.png")
    said = [
        Verdict("A < B", HOLDS, "1 < 2."),
        Verdict("C", FAILS, "3."),
        Verdict("D", OPEN, ""),
    ]
    told = Told("one", "Less", "Is it?", "python", said, ["E."], {"one.png": "F"}, 90)
    course_page.write(tmp_path / "index.html", {"Part": [told], "None": []}, ["G."])
    page = (tmp_path / "index.html").read_text()
    counts = "1 holds, 1 stays open, 1 does not hold"
    assert f"3 claims in 1 experiments, 2 minutes: {counts}." in page
    assert '<a href="#one">A &lt; B</a>' in page and 'id="one"' in page
    for text in ("✓ holds:", "✗ does not hold:", "? stays open:", "E.", "G.", ">F<"):
        assert text in page
    assert "<h2>Part</h2>" in page and "<h2>None</h2>" not in page


MISTAKES = [
    (
        "--lessons=knitting",
        "flag --lessons: expected some of vanishing, gradient_flow, ",
    ),
    ("--flags=--stepz=2", "lesson edges: Unknown command line flag 'stepz'"),
    ("--flags=--digits=99999", "the lesson edges was refused"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, _, err = run("--lessons=edges", flag, "--results=out")
    assert code == 2 and sentence in err
    assert not list(tmp_path.iterdir())
