"""The files of figures: formats, styles, and the same bytes each time."""

import csv
import dataclasses
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from experiments.harness import cli, figure_files, paper, plotting
from experiments.harness.cli import FigureFlags
from experiments.harness.report import publish
from experiments.harness.runs import new_run
from nets.flow import plot

ALL = FigureFlags(figures=["pdf", "svg"])
LONG = r"norm of the state's gradient, $\|\partial L/\partial s_t\|$"


@dataclasses.dataclass(frozen=True)
class Empty:
    """The flags of a command without flags."""


def decay(panels=2):
    """A figure like those of the experiments."""
    figure, axes = plotting.figure("The finding", columns=panels)
    for axis in axes:
        norms = {"lstm": 0.1 * np.arange(8.0), "gru": 0.2 * np.arange(8.0)}
        plot.gradient_norms(norms, ax=axis, ylabel="", title="trained")
    axes[0].set_ylabel(LONG)
    return plotting.captioned(figure, "The finding", "How it was made.").figure


def shape(figure):
    """Rows and columns of the grid of panels."""
    place: Any = figure.axes[0].get_subplotspec()
    return place.get_gridspec().nrows, place.get_gridspec().ncols


def texts(figure):
    return [figure.get_suptitle(), figure.get_supxlabel()]


def test_files_of_a_figure(tmp_path):
    png, names = figure_files.write(decay(), tmp_path / "decay.png", ALL)
    assert names == ["decay.pdf", "decay.svg", "decay.csv"]
    assert {f.name for f in tmp_path.iterdir()} == {"decay.png", *names}
    assert (tmp_path / "decay.png").read_bytes() == png
    text = (tmp_path / "decay.csv").read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines())
    assert header == ["panel", "x_label", "y_label", "series", "x", "y"]
    assert len(rows) == 32
    assert (tmp_path / "decay.pdf").read_bytes().startswith(b"%PDF")


def test_text_stays_text_and_fonts_are_embedded(tmp_path):
    figure_files.write(decay(), tmp_path / "decay.png", ALL)
    svg = (tmp_path / "decay.svg").read_text()
    assert re.search(r"<text[^>]*>The finding</text>", svg)
    data = (tmp_path / "decay.pdf").read_bytes()
    assert b"/FontFile2" in data and b"/Subtype /Type3" not in data


@pytest.mark.slow
def test_bytes_do_not_depend_on_time_or_process(tmp_path):
    (tmp_path / "a").mkdir()
    figure_files.write(decay(), tmp_path / "a" / "decay.png", ALL)
    code = (
        "import sys, pathlib; sys.path[:0] = ['tests/experiments/harness']\n"
        "import test_figure_files as t\n"
        "t.figure_files.write(t.decay(), pathlib.Path(sys.argv[1]), t.ALL)"
    )
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "decay.png"
    subprocess.run([sys.executable, "-c", code, other], check=True)
    for name in ("decay.png", "decay.pdf", "decay.svg", "decay.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (
            tmp_path / "b" / name
        ).read_bytes()
    assert b"CreationDate" not in (tmp_path / "a" / "decay.pdf").read_bytes()
    assert "dc:date" not in (tmp_path / "a" / "decay.svg").read_text()


def test_screen_keeps_title_and_size(tmp_path):
    figure = decay()
    size = tuple(figure.get_size_inches())
    figure_files.write(figure, tmp_path / "decay.png", FigureFlags())
    assert texts(figure) == ["The finding", "How it was made."]
    assert tuple(figure.get_size_inches()) == size


@pytest.mark.parametrize(
    ("style", "width", "rows"), [("paper", 3.25, 2), ("paper_wide", 6.75, 1)]
)
def test_style_for_papers(tmp_path, style, width, rows):
    figure = decay()
    file = tmp_path / "decay.png"
    figure_files.write(figure, file, FigureFlags(style=style))
    assert texts(figure) == ["", ""]
    assert figure.get_figwidth() == width
    assert shape(figure) == (rows, 2 // rows)
    sizes = {
        text.get_fontsize()
        for axis in figure.axes
        for text in (
            axis.title,
            axis.xaxis.label,
            *axis.get_yticklabels(),
            *(t for legend in (axis.get_legend(),) if legend for t in legend.texts),
        )
    }
    assert sizes == {8}
    with Image.open(file) as image:
        assert image.size[0] == round(width * 300)


def test_stacked_panels_keep_their_own_labels():
    figure = decay()
    paper.restyle(figure)
    wrapped = LONG.replace(", ", ",\n")
    assert [axis.get_ylabel() for axis in figure.axes] == [wrapped] * 2
    assert [axis.get_title() for axis in figure.axes] == ["trained"] * 2
    figure.canvas.draw()
    assert all(
        label.get_visible() for label in figure.axes[1].get_yticklabels() if label
    )


@pytest.mark.parametrize(
    ("names", "inside"), [(("a", "b"), True), (("a" * 30, "b"), False)]
)
def test_a_legend_is_below_the_panel_if_it_would_be_over_the_data(names, inside):
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    for slope, name in zip((1, 2), names, strict=True):
        axis.plot([0, 1, 2], [0, slope, 2 * slope], label=name)
    axis.plot([0, 2], [1.6, 3.2] if inside else [3.8, 0.2])
    axis.legend()
    paper.restyle(figure)
    figure.draw_without_rendering()
    legend, panel = axis.get_legend(), axis.get_window_extent()
    assert legend is not None
    assert (legend.get_window_extent().y1 > panel.y0) == inside


def test_a_label_is_not_wider_than_its_panel():
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    figure.colorbar(axis.imshow(np.eye(3)), ax=axis, label="value")
    axis.set_xlabel("step t of the sequence (loss at the end)")
    paper.restyle(figure)
    figure.draw_without_rendering()
    label, panel = axis.xaxis.label.get_window_extent(), axis.get_window_extent()
    assert label.width <= 1.05 * panel.width


def test_stacked_panels_of_less_than_a_decade_keep_their_numbers():
    figure = Figure(layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis in axes:
        axis.plot([0, 1], [2.1, 2.9])
        axis.set_yscale("log")
    paper.restyle(figure)
    figure.draw_without_rendering()
    for axis in axes:
        shown = [t for t in axis.get_yticklabels(which="minor") if t.get_visible()]
        assert any(text.get_text() for text in shown)


def test_a_single_panel_has_no_title():
    figure = decay(panels=1)
    paper.restyle(figure)
    assert figure.axes[0].get_title() == ""


def test_many_panels_take_two_columns():
    figure = decay(panels=5)
    paper.restyle(figure)
    assert figure.get_figwidth() == 6.75
    assert shape(figure) == (3, 2)


def test_long_names_of_ticks_get_room():
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    axis.set_yticks(range(30), [f"Tuesday, the {i}th of March 2024" for i in range(30)])
    paper.restyle(figure)
    assert tuple(figure.get_size_inches()) == pytest.approx((6.75, 5.2))


@pytest.mark.parametrize(("count", "place"), [(6, {}), (2, {"bbox_to_anchor": (1, 1)})])
def test_long_legends_and_those_outside_are_below_their_panel(count, place):
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    plot.curves({f"cell {i}": np.arange(3.0) for i in range(count)}, ax=axis)
    axis.legend(**place)
    paper.restyle(figure)
    figure.canvas.draw()
    legend = axis.get_legend()
    assert legend and legend.get_window_extent().y1 < axis.get_window_extent().y0


def test_figure_legends_are_below_all_panels():
    figure = decay()
    figure.legend(["a", "b"], loc="outside right upper")
    paper.restyle(figure)
    figure.canvas.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    bottom = min(axis.get_window_extent().y0 for axis in figure.axes)
    assert legend.get_window_extent().y1 < bottom


def test_empty_panels_go_and_text_stays():
    figure, axes = plotting.panels("digits", 1, 3)
    plotting.show(axes[0, 0], np.eye(3))
    plotting.row_label(axes[0, 1], "seed 0")
    paper.restyle(figure)
    assert figure.axes == list(axes[0, :2])


def test_pictures_keep_their_arrangement():
    figure, axes = plotting.panels("digits", 2, 6)
    for axis in axes.flat:
        plotting.show(axis, np.eye(3), "7 read as 1")
    paper.restyle(figure)
    assert figure.get_figwidth() == 6.75
    assert shape(figure) == (2, 6)
    assert float(figure.axes[0].title.get_fontsize()) < 8


def test_the_page_links_the_files(tmp_path):
    with new_run(tmp_path / "run", {}, question="Which?") as run:
        run.figures = ALL
        publish(run, figures={"decay.png": plotting.Plot(decay(), "f", "caption")})
    page = (tmp_path / "run" / "report.html").read_text()
    for name in ("decay.pdf", "decay.svg", "decay.csv"):
        assert f'<a href="{name}">{name[-3:].upper()}</a>' in page
        assert (tmp_path / "run" / name).stat().st_size
    assert page.count("data:image/png;base64,") == 1


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--figures=gif", "expected some of png, pdf, svg; got 'gif'"),
        ("--figures=", "expected values separated by commas"),
        ("--figures=pdf,pdf", "pdf is given twice"),
        ("--style=poster", "expected one of screen, paper, paper_wide; got"),
    ],
)
def test_wrong_formats_and_styles_are_refused(flag, message):
    with pytest.raises(cli.UsageError) as raised:
        cli.parse_all(Empty, [flag])
    assert message in str(raised.value)
