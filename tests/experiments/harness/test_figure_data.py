"""The data behind figures: exact, named, and enough to draw the figure again."""

import csv
import io
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from experiments.harness import figure_data
from nets.flow import plot

RNG = np.random.default_rng(0)


def read(figure) -> list[dict[str, Any]]:
    """The rows of the CSV of a figure; a missing number is nan."""
    rows = list(csv.DictReader(io.StringIO(figure_data.as_csv(figure))))
    texts = {"panel", "x_label", "y_label", "series", "x_name", "y_name", "value_label"}
    return [
        {k: v if k in texts else float(v or "nan") for k, v in row.items()}
        for row in rows
    ]


def column(rows, name, **where):
    return [r[name] for r in rows if all(r[k] == v for k, v in where.items())]


def test_curves_are_drawn_again_from_the_csv():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    logs = RNG.normal(size=(2, 9, 3)).astype("f")
    plot.gradient_norms({"lstm": logs[0], "gru": logs[1]}, ax=left, title="a")
    plot.curves({"lstm": logs[0].astype(float)}, np.arange(9) / 7, ax=right)
    rows = read(figure)
    again = Figure().subplots()
    for axis, panel in ((left, "a"), (right, "panel 2")):
        for line, band in zip(axis.lines, axis.collections, strict=True):
            part = {"panel": panel, "series": line.get_label()}
            xs, ys, lows, highs = (
                column(rows, name, **part) for name in ("x", "y", "y_low", "y_high")
            )
            (drawn,) = again.plot(xs, ys)
            np.testing.assert_array_equal(drawn.get_xydata(), line.get_xydata())
            shade = again.fill_between(xs, lows, highs)
            np.testing.assert_array_equal(
                shade.get_paths()[0].vertices, band.get_paths()[0].vertices
            )


def test_gaps_stay_gaps():
    figure = Figure()
    values = np.array([[1.0, 2.0], [np.nan, 1.0], [3.0, 4.0]])
    plot.curves({"a": values}, ax=figure.subplots())
    rows = read(figure)
    np.testing.assert_array_equal(column(rows, "y"), [1.5, np.nan, 3.5])
    np.testing.assert_array_equal(column(rows, "y_low"), [1, np.nan, 3])


def test_names_of_panels_axes_and_series():
    figure = Figure()
    axes = figure.subplots(1, 2, sharey=True)
    for axis in axes:
        axis.set(title="one\ntitle", xlabel="step")
        axis.plot([0, 1], [2, 3], color="C0")  # a seed of the next line
        axis.plot([0, 1], [2, 4], color="C0", label="gru")
        axis.plot([0, 1], [5, 6], color="C1")
    axes[0].set_ylabel("loss, nats")
    rows = read(figure)
    assert list(dict.fromkeys(column(rows, "panel"))) == ["one title", "one title (2)"]
    assert set(column(rows, "y_label")) == {"loss, nats"}
    first = column(rows, "series", panel="one title")
    assert first[::2] == ["gru", "gru (2)", "line"]


def test_a_line_across_the_panel_has_one_number():
    figure = Figure()
    axis = figure.subplots()
    axis.axhline(0.1, label="chance", color="0.3")
    axis.axvline(7, color="0.4")
    level, place = read(figure)
    assert (level["series"], level["y"]) == ("chance", 0.1)
    assert math.isnan(level["x"]) and math.isnan(place["y"]) and place["x"] == 7


def test_error_bars_have_both_ends():
    figure = Figure()
    axis = figure.subplots()
    axis.errorbar([1, 2], [3, 4], [[0.5, 1], [1, 2]], label="a", capsize=3)
    axis.errorbar([5], [0], xerr=[[1], [2]], fmt="o", label="b")
    axis.errorbar([6], [0], fmt="o", label="c")
    rows = read(figure)
    assert column(rows, "series") == ["a", "a", "b", "c"]
    assert column(rows, "y_low", series="a") == [2.5, 3]
    assert column(rows, "y_high", series="a") == [4, 6]
    assert (rows[2]["x_low"], rows[2]["x_high"]) == (4, 7)
    assert math.isnan(rows[3]["x_low"])


def test_bars_and_names_of_ticks():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.bar(range(2), [0.1, -3], label="count")
    left.set_xticks(range(2), ["elman", "gru"])
    right.barh([0.2, 1.2], [5, 6])
    right.set_yticks([0, 1], ["adding", "digits"])
    rows = read(figure)
    assert column(rows, "y")[:2] == [0.1, -3]
    assert column(rows, "x_name")[:2] == ["elman", "gru"]
    assert column(rows, "y_name")[2:] == ["adding", "digits"]
    assert column(rows, "x")[2:] == [5, 6]


def test_images_have_one_row_per_pixel():
    figure = Figure()
    axis = figure.subplots()
    values = RNG.normal(size=(2, 3))
    values[0, 1] = np.nan
    image = axis.imshow(values)
    figure.colorbar(image, ax=axis, label="share, %")
    rows = read(figure)
    np.testing.assert_array_equal(column(rows, "value"), values.ravel())
    assert column(rows, "x") == [0, 1, 2, 0, 1, 2]
    assert column(rows, "y") == [0, 0, 0, 1, 1, 1]
    assert set(column(rows, "value_label")) == {"share, %"}


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_extent_of_images(origin):
    figure = Figure()
    figure.subplots().imshow([[1.0], [2.0]], extent=(0, 4, 10, 30), origin=origin)
    rows = read(figure)
    assert column(rows, "x") == [2, 2]
    assert column(rows, "y") == ([25, 15] if origin == "upper" else [15, 25])


def test_heat_maps_have_the_edges_of_their_cells():
    figure = Figure()
    logs = np.log(10) * np.arange(4.0).reshape(2, 2)
    plot.gradient_heat_map(logs, [0, 40], ax=figure.subplots())
    rows = read(figure)
    np.testing.assert_allclose(column(rows, "value"), [0, 1, 2, 3])
    assert column(rows, "y_low") == [0, 0, 20, 20]
    assert column(rows, "x_high") == [0.5, 1.5, 0.5, 1.5]


def test_polygons_have_their_corners():
    figure = Figure()
    corners = [(0, 1), (2, 1), (2, 3)]
    figure.subplots().add_collection(PolyCollection([corners], label="notes"))
    rows = read(figure)
    assert [(row["x"], row["y"]) for row in rows] == corners
    assert column(rows, "series") == ["notes"] * 3


def test_pictures_without_axes_have_no_data():
    figure = Figure()
    axis = figure.subplots()
    axis.imshow(np.ones((2, 2)))
    axis.axis("off")
    assert figure_data.as_csv(figure) == ""


def test_a_line_that_is_drawn_twice_is_listed_once():
    figure = Figure()
    axis = figure.subplots()
    for exponents in (np.array([1.0]), np.array([2.0])):
        plot.spectrum(exponents, ax=axis)
    zeros = [row for row in read(figure) if math.isnan(row["x"])]
    assert [row["y"] for row in zeros] == [0]
