"""The page of a run: its content, and its layout in a browser."""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from markupsafe import escape
from matplotlib.figure import Figure
from PIL import Image

from experiments.course import page as course_page
from experiments.harness import pages
from experiments.harness.claims import PARTLY_SUPPORTED, REFUTED, SUPPORTED, Case, Claim
from experiments.harness.plotting import Plot
from experiments.harness.report import publish
from experiments.harness.rows import read_rows
from experiments.harness.runs import new_run
from experiments.harness.tables import Table

NASTY = '<script>alert("1 & 2")</script>'
COLOR = (0, 114, 178)
QUESTION = """Does a page stand alone, and is `a < b & c` shown?

    python -m experiments.left_out --cells=lstm

A paragraph of
two lines.

And one more.
"""
CONFIG = {
    "experiment": "gradient_flow",
    "command": f"python -m experiments.gradient_flow --cells='{NASTY}' --{'x' * 200}",
    "config": {"cells": ["lstm", NASTY], "remat": True, "rate": 0.5, "name": "\udcff"},
}
TABLES = {
    "Decay": Table(["cell", "steps"], [["lstm", "90"], [NASTY, "1,204"]]),
    "Wide": Table(
        ["mycells:with_a_long_name", *(f"T = {time:,}" for time in range(100, 120))],
        [["lstm", *["+0.348 ± 0.057"] * 20]],
    ),
}
CAPTIONS = {"one.png": f"A figure: {NASTY}", "two.png": "Another."}
FINDINGS = {"one.png": "", "two.png": "B is 2."}
SIZES = {"one.png": (1600, 500), "two.png": (100, 900)}
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Sees that every tag is closed in turn, and notes what there is."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def plots() -> dict[str, Plot]:
    """Two figures of one color: a wide one and a high one."""
    return {
        name: Plot(
            Figure(
                figsize=(width / 100, height / 100),
                dpi=100,
                facecolor="#{:02x}{:02x}{:02x}".format(*COLOR),
            ),
            FINDINGS[name],
            CAPTIONS[name],
        )
        for name, (width, height) in SIZES.items()
    }


def make(folder: pathlib.Path, question: str = QUESTION, **changed) -> pathlib.Path:
    """The report of a run that has two figures."""
    with new_run(folder, CONFIG, question=question) as results:
        texts = {"findings": ["It does.", f"Even {NASTY}."]}
        publish(results, **{**texts, "figures": plots(), "tables": TABLES, **changed})
    return folder / "report.html"


@pytest.fixture
def report(tmp_path):
    return make(tmp_path / "out")


def test_the_page_is_well_formed_and_complete(report):
    text = report.read_text(encoding="utf-8")
    read = Reader(text)
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert "\n<title>Does a page stand alone, and is `a &lt; b &amp; c` shown?" in text
    assert "<h1>Does a page stand alone, and is <code>a &lt; b &amp; c</code>" in text
    assert "<p>A paragraph of two lines.</p>\n<p>And one more.</p>" in text
    assert "left_out" not in text
    assert text.index("It does.") < text.index("A paragraph")
    for phrase in ("1,204", "--remat", "true", f"lstm,{NASTY}", NASTY, "metrics.jsonl"):
        assert phrase in read.text
    assert CONFIG["command"] in read.text
    made = json.loads((report.parent / "config.json").read_text())
    for phrase in (made["machine"], made["commit"] or "none", made["versions"]["jax"]):
        assert phrase in read.text
    assert not list(report.parent.glob("*.draft"))


def test_claims_precede_findings_and_everything_is_logged(tmp_path):
    cases = [Case("one", "1 < 2", SUPPORTED), Case("two", NASTY, SUPPORTED)]
    claim = Claim("A < B", SUPPORTED, "A is compared with B.", cases)
    report = make(tmp_path / "out", answer="B is\nlarger.", claims=[claim])
    text = Reader(report.read_text(encoding="utf-8")).text
    places = [
        text.index(sentence)
        for sentence in (
            "B is larger.",
            "✓ supported: A < B.\nA is compared with B.",
            "2 cases",
            "1 < 2",
            NASTY,
            "It does.",
            "A paragraph",
        )
    ]
    assert places == sorted(places)
    logged = read_rows(report.parent)
    assert [row["kind"] for row in logged] == ["claim", "report"]
    listed = [list(case) for case in cases]
    assert logged[0] == {"kind": "claim", **claim._asdict(), "cases": listed}
    assert logged[1]["answer"] == "B is larger."
    assert logged[1]["findings"] == ["It does.", f"Even {NASTY}."]
    assert logged[1]["figures"] == CAPTIONS


def test_everything_is_printed(tmp_path, capsys):
    claim = Claim("A < B", SUPPORTED, "B - A.", [Case("one", "+1", SUPPORTED)])
    make(tmp_path / "out", answer="B is larger.", claims=[claim])
    out = capsys.readouterr().out
    assert out.startswith(f"B is larger.\n\nDecay\n{TABLES['Decay'].text()}\n\nWide\n")
    assert out.endswith(
        f"\n\n{claim.sentence()}\n{claim.table.text()}\n\nB is 2.\nIt does.\n"
        f"Even {NASTY}.\n"
    )
    make(tmp_path / "one", answer="B is larger.", tables={"Decay": TABLES["Decay"]})
    alone = f"B is larger.\n\n{TABLES['Decay'].text()}\n\n"
    assert capsys.readouterr().out.startswith(alone)


def test_a_finding_is_not_repeated(tmp_path, capsys):
    report = make(tmp_path / "out", answer="B is 2.")
    assert capsys.readouterr().out.count("B is 2.") == 1
    text = Reader(report.read_text(encoding="utf-8")).text
    assert text.count("B is 2.") == 1
    report = make(tmp_path / "other", answer="B is larger.")
    text = Reader(report.read_text(encoding="utf-8")).text
    assert "B is 2." not in text  # it is the title of the figure


def test_a_run_may_have_no_command_and_no_flags(tmp_path):
    with new_run(tmp_path / "mine", {}) as results:
        publish(results)
    text = (tmp_path / "mine" / "report.html").read_text(encoding="utf-8")
    assert "<h1>mine</h1>" in text and "<pre>" not in text


def test_a_validation_set_is_named(tmp_path):
    with new_run(tmp_path / "a", {"config": {"evaluate_on": "validation"}}) as results:
        publish(results)
    assert "cut off the training set" in (tmp_path / "a" / "report.html").read_text()


def test_models_that_were_not_finite_are_findings(tmp_path):
    with new_run(tmp_path / "out", {}, question=QUESTION) as run:
        for seed in (4294967295, 1):
            labels = {"cell": "gru", "seed": seed, "step": 7, "tensor": "the loss"}
            run.log(kind="nonfinite", **labels, done="skipped")
        publish(run, answer="None.")
    (row,) = [r for r in read_rows(tmp_path / "out") if r["kind"] == "report"]
    assert row["findings"] == [
        "Steps of 2 models were skipped, as they were not finite: gru, seed "
        "4294967295, step 7, and 1 more (metrics.jsonl names all)."
    ]


def test_no_module_shadows_the_standard_library():
    house = pathlib.Path(pages.__file__).parents[2]
    for room in ("experiments", "train"):
        names = {path.stem for path in (house / room).rglob("*.py")}
        assert not (names - {"__init__"}) & sys.stdlib_module_names


def test_what_a_user_writes_is_never_markup(report):
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not Reader(text).all("script")
    assert str(escape(NASTY)) in text


def test_all_figures_are_inside(report):
    images = Reader(report.read_text(encoding="utf-8")).all("img")
    assert [image["alt"] for image in images] == [
        CAPTIONS["one.png"],
        CAPTIONS["two.png"] + " B is 2.",
    ]
    for image, name in zip(images, CAPTIONS, strict=True):
        kind, _, data = str(image["src"]).partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data) == (report.parent / name).read_bytes()


def test_nothing_is_fetched_and_nothing_is_run(report):
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|<link|<iframe|<a\b", text)
    assert not re.search(r'src="(?!data:)', text)
    names = {name for _, attributes in Reader(text).tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "href"]


def test_headings_and_tables_can_be_heard(report):
    read = Reader(report.read_text(encoding="utf-8"))
    headings = [tag for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert headings == ["h1", "h2", "h2", "h2", "h2"]
    tables = len(TABLES) + 2  # flags, and all around them
    assert len(read.all("table")) == len(read.all("caption")) == tables
    assert {heading.get("scope") for heading in read.all("th")} == {"col", "row"}


def test_what_there_is_none_of_has_no_heading(tmp_path):
    nothing = {"question": "", "findings": [], "figures": {}, "tables": {}}
    text = make(tmp_path / "out", **nothing).read_text(encoding="utf-8")
    assert "<h1>gradient_flow</h1>" in text
    assert re.findall("<h2>(.*?)</h2>", text) == ["How this was made"]


def test_a_page_is_whole_or_absent(tmp_path):
    file = tmp_path / "page.html"
    with pytest.raises(Exception, match="'title' is undefined"):
        pages.write(file, "report.html.j2", kind="a")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def chromium(tmp_path):
    """`printed = chromium("--flag", ..., file)`, without a network."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("expected a Chromium where CI is true; .ci/run installs one")
        pytest.skip("no Chromium")

    def chromium(*flags: str) -> str:
        common = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--allow-file-access-from-files",
            f"--user-data-dir={tmp_path / 'decay_profile'}",
        ]
        done = subprocess.run(
            [program, *common, *flags],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return chromium


def asked(page, folder, chromium):
    """The JSON that a page's script writes."""
    (folder / "ask.html").write_text(page)
    shown = chromium("--dump-dom", (folder / "ask.html").as_uri())
    match = re.search(r"<pre>(\[.+?\])</pre>", shown)
    assert match, shown
    return json.loads(match[1])


# A window is at least 500 pixels wide; a frame has the width of a phone. The page lets
# no script run, so this one asks from outside.
ASK = """<!DOCTYPE html>
<iframe src="out/report.html" style="border: 0; width: 360px; height: 800px"></iframe>
<iframe src="out/report.html" style="border: 0; width: 1280px; height: 800px"></iframe>
<pre></pre>
<script>
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    return {
      width: frame.contentWindow.innerWidth,
      needed: root.scrollWidth,
      images: [...page.images].map(i => [i.complete, i.naturalWidth, i.width]),
      tables: [...page.querySelectorAll(".wide")].map(
        box => box.scrollWidth > box.clientWidth),
    };
  });
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
</script>
"""


@pytest.mark.slow
def test_a_browser_shows_it_on_a_phone_and_on_a_desk(report, tmp_path, chromium):
    phone, desk = asked(ASK, tmp_path, chromium)
    assert (phone["width"], desk["width"]) == (360, 1280)
    for screen in (phone, desk):
        assert screen["needed"] <= screen["width"]
        natural = [(complete, width) for complete, width, _ in screen["images"]]
        assert natural == [(True, 1600), (True, 100)]
        assert all(width <= screen["width"] for *_, width in screen["images"])
        # The wide one scrolls in its box, and those of flags and versions need not.
        assert screen["tables"][1:] == [True, False, False]


ASK_SIZE = """<!DOCTYPE html>
<iframe src="out/report.html" style="border: 0; width: 390px; height: 800px"></iframe>
<iframe src="out/report.html" style="border: 0; width: 1280px; height: 800px"></iframe>
<iframe src="out/report.html" style="border: 0; width: 1920px; height: 800px"></iframe>
<pre></pre>
<script>
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, image = page.images[0];
    const small = image.width;
    page.querySelector(".picture input").click();
    const table = page.querySelectorAll(".wide")[1];
    table.scrollLeft = 1e6;
    const last = table.querySelector("thead th:last-child").getBoundingClientRect();
    return [small, image.width, page.documentElement.scrollWidth,
            frame.contentWindow.innerWidth, last.right, last.left];
  });
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
</script>
"""


@pytest.mark.slow
def test_a_figure_opens_in_full_size_and_the_last_column_is_reached(
    report, tmp_path, chromium
):
    for small, large, needed, window, right, left in asked(
        ASK_SIZE, tmp_path, chromium
    ):
        assert small < window and large >= 1600 and needed <= window
        assert 0 < left < right <= window + 1


ASK_CLAIMS = """<!DOCTYPE html>
<iframe src="index.html" style="border: 0; width: 360px; height: 800px"></iframe>
<iframe src="index.html" style="border: 0; width: 500px; height: 800px"></iframe>
<pre></pre>
<script>
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map(frame => {
    const box = frame.contentDocument.querySelector(".claims");
    const claim = box.querySelector("tbody th").getBoundingClientRect();
    return [claim.width / box.clientWidth, box.scrollWidth <= box.clientWidth];
  });
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
</script>
"""


@pytest.mark.slow
def test_claims_have_most_of_the_width_on_a_phone(tmp_path, chromium):
    claim = "Read forward, a state knows more the later it stands, and most at the end"
    cases = [Case("one", "+1", SUPPORTED), Case("two", "-1", REFUTED)] * 12
    judged = [Claim(claim, PARTLY_SUPPORTED, "Why.", cases)]
    lesson = course_page.LessonResult("one", "Less", "Is it?", "python", "", judged)
    course_page.write(tmp_path / "index.html", {"Part": [lesson]}, [])
    widths = asked(ASK_CLAIMS, tmp_path, chromium)
    assert all(share > 0.5 and fits for share, fits in widths), widths


@pytest.mark.slow
def test_a_browser_prints_it(report, tmp_path, chromium):
    picture, paper = tmp_path / "screen.png", tmp_path / "paper.pdf"
    chromium(
        "--window-size=1280,1600",
        f"--screenshot={picture}",
        f"--print-to-pdf={paper}",
        report.as_uri(),
    )
    assert paper.read_bytes().startswith(b"%PDF-")
    assert len(paper.read_bytes()) > 10_000
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"))
    shares = {
        color: (pixels == color).all(axis=-1).mean()
        for color in (COLOR, (255, 255, 255))
    }
    assert 0.1 < shares[COLOR] < 0.5  # the figures are there,
    assert 0.3 < shares[255, 255, 255] < 0.9  # and what is around them
