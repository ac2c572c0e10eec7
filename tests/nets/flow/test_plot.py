"""Figures of what the instruments return: labels, scales and the drawn numbers."""

import jax
import jax.numpy as jnp
import jaxtyping
import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import nets
from nets import flow
from nets.flow import plot

TIME, BATCH, INPUTS, FEATURES = 12, 3, 2, 4
INF, NAN = np.inf, np.nan


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def untyped():
    """Users run without the checks of shapes that pytest turns on."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def lstm():
    """A cell with parameters and inputs."""
    cell = nets.lstm(forget_bias=2.0)
    params = cell.init(jax.random.key(0), INPUTS, FEATURES)
    return cell, params, jax.random.normal(jax.random.key(1), (TIME, BATCH, INPUTS))


def last(state, ys):
    return (state.hidden**2).sum()


def line(ax, i=0):
    return np.asarray(ax.lines[i].get_xdata()), np.asarray(ax.lines[i].get_ydata())


def band(ax, i=0):
    """The bounds of a band by place."""
    vertices = np.concatenate([p.vertices for p in ax.collections[i].get_paths()])
    places = np.unique(vertices[:, 0])
    at = [vertices[vertices[:, 0] == x, 1] for x in places]
    return places, np.array([[y.min(), y.max()] for y in at]).T


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_curves_are_means_and_ranges(ax):
    series = {"a": np.array([[1.0, 3.0], [2.0, 8.0]]), "b": np.array([4.0, 5.0])}
    assert plot.curves(series, [0, 40], ax=ax) is ax
    np.testing.assert_array_equal(line(ax), [[0, 40], [2, 5]])
    np.testing.assert_array_equal(line(ax, 1), [[0, 40], [4, 5]])
    places, ends = band(ax)
    np.testing.assert_array_equal(places, [0, 40])
    np.testing.assert_array_equal(ends, [[1, 2], [3, 8]])
    assert len(ax.collections) == 1  # a single sample has no range
    assert texts(ax) == ["a", "b"]
    assert [drawn.get_color() for drawn in ax.lines] == list(plot.COLORS[:2])
    assert to_hex(ax.collections[0].get_facecolor()[0]) == plot.COLORS[0].lower()


def test_each_curve_looks_different(ax):
    count = 2 * len(plot.COLORS)
    plot.curves({str(i): np.arange(2.0) for i in range(count)}, ax=ax)
    looks = {(drawn.get_color(), drawn.get_linestyle()) for drawn in ax.lines}
    assert len(looks) == count


def test_a_second_call_adds_a_curve_of_another_color(ax):
    plot.curves(np.arange(2.0), ax=ax)
    plot.curves(np.arange(2.0), ax=ax)
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    assert ax.get_legend() is None


def test_options_of_lines_reach_line_and_band(ax):
    plot.curves(np.ones((3, 2)), ax=ax, color="#123456", linestyle=":", marker="o")
    assert ax.lines[0].get_linestyle() == ":"
    assert ax.lines[0].get_marker() == "o"
    assert to_hex(ax.collections[0].get_facecolor()[0]) == "#123456"


def test_gaps_and_missing_samples(ax):
    values = np.array([[1, 3], [-INF, 5], [-INF, -INF], [NAN, 1], [INF, 1]])
    plot.curves(values, ax=ax)
    np.testing.assert_array_equal(line(ax)[1], [2, 5, NAN, NAN, NAN])
    places, ends = band(ax)
    np.testing.assert_array_equal(places, [0, 1])
    np.testing.assert_array_equal(ends, [[1, 5], [3, 5]])


def test_a_single_number_is_refused(ax, untyped):
    with pytest.raises(ValueError, match="got a single number"):
        plot.curves(np.float64(3), ax=ax)


def test_gradient_norms_of_a_cell(ax):
    cell, params, xs = lstm()
    _, gradients = flow.state_gradients(cell, params, xs, last)
    logs = flow.log_norms(gradients)
    plot.gradient_norms(logs, ax=ax)
    expected = np.exp(np.asarray(logs, float).mean(axis=1))
    np.testing.assert_allclose(line(ax)[1], expected, rtol=1e-12)
    low, high = band(ax)[1]
    np.testing.assert_allclose(low, np.exp(np.asarray(logs, float).min(axis=1)))
    np.testing.assert_allclose(high, np.exp(np.asarray(logs, float).max(axis=1)))
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "step t"
    assert ax.get_ylabel() == r"norm of the gradient, $\|\partial L/\partial s_t\|$"
    life = float(flow.half_life(flow.decay_profile(logs).rate))
    assert ax.get_title() == f"half-life {life:.1f} steps"


@pytest.mark.parametrize(
    ("log_norms", "reverse", "title"),
    [
        (0.1 * np.arange(50.0), False, "half-life 6.9 steps"),
        (-0.1 * np.arange(50.0), False, "doubles in 6.9 steps"),
        (-0.1 * np.arange(50.0), True, "half-life 6.9 steps"),
        (0.001 * np.arange(50.0), False, "half-life over 49 steps"),
        (np.full(50, -INF), False, ""),
        (np.where(np.arange(50) < 25, NAN, 0.0), False, ""),
        (np.array([0.0]), False, ""),
        (np.zeros(0), False, ""),
    ],
)
def test_title_of_gradient_norms(ax, log_norms, reverse, title):
    plot.gradient_norms(log_norms, ax=ax, reverse=reverse)
    assert ax.get_title() == title


def test_given_title_wins_and_names_replace_it(ax):
    logs = 0.1 * np.arange(9.0)
    plot.gradient_norms(logs, ax=ax, title="", xlabel="layer", ylabel="norm")
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("", "layer", "norm")
    plot.gradient_norms({"gru": logs}, ax=ax)
    assert (ax.get_title(), texts(ax)) == ("", ["gru"])


def test_padding_and_dead_gradients(ax):
    logs = np.array([[-2.0, -4.0], [-1.0, -2.0], [0.0, -INF]])
    plot.gradient_norms({"padded": logs}, ax=ax)
    np.testing.assert_allclose(line(ax)[1], np.exp([-3.0, -1.5, 0.0]))
    dead = Figure().subplots()
    plot.gradient_norms(np.full((3, 2), -INF), ax=dead)
    assert np.isnan(line(dead)[1]).all()
    assert dead.get_yscale() == "linear"  # nothing that a logarithm could show
    dead.figure.canvas.draw()


def test_norms_beyond_the_range_of_floats_are_gaps(ax):
    plot.gradient_norms(np.array([-1000.0, 0.0, 1000.0]), ax=ax)
    np.testing.assert_array_equal(line(ax)[1], [NAN, 1, NAN])


def test_gates_of_a_cell(ax):
    cell, params, xs = lstm()
    statistics = flow.gates(cell, params, xs)
    plot.gates(statistics, ax=ax)
    forget = statistics["forget"]
    np.testing.assert_array_equal(line(ax, 1)[1], np.asarray(forget.mean, float))
    np.testing.assert_array_equal(
        band(ax, 1)[1], np.asarray(forget.quantiles[:, [1, 3]], float).T
    )
    memory = f"forget (memory {np.median(forget.memory):.3g} steps)"
    assert texts(ax) == ["input", memory, "output"]
    assert tuple(ax.get_ylim()) == (0, 1)
    assert ax.get_ylabel() == "gate, from 0 (closed) to 1 (open)"


def test_gates_without_quantiles_and_in_padding(ax):
    mean, none = jnp.array([0.5, NAN]), jnp.zeros((2, 0))
    gate = flow.GateStatistics(mean, none, mean, mean, jnp.array([NAN]))
    plot.gates({"keep": gate}, ax=ax, title="gates")
    np.testing.assert_array_equal(line(ax)[1], mean)
    assert (len(ax.collections), texts(ax), ax.get_title()) == (0, ["keep"], "gates")
    median = gate._replace(quantiles=jnp.full((2, 1), 0.5), memory=None)
    plot.gates({"one": median}, ax=ax)
    assert texts(ax)[-1] == "one"


def test_means_of_gates_over_training(ax):
    values = np.array([[0.1, 0.3], [0.4, 0.6]])
    plot.gates({"update": values}, [0, 40], ax=ax, xlabel="training step")
    np.testing.assert_allclose(line(ax), [[0, 40], [0.2, 0.5]])
    assert ax.get_xlabel() == "training step"


def test_spectrum_of_a_cell(ax):
    cell, params, xs = lstm()
    spectrum = flow.lyapunov_spectrum(cell, params, xs)
    plot.spectrum(spectrum, ax=ax)
    exponents = np.asarray(spectrum.exponents, float)
    places, values = line(ax)
    np.testing.assert_array_equal(places, np.arange(1, 2 * FEATURES + 1))
    np.testing.assert_allclose(values, exponents.mean(axis=0))
    np.testing.assert_array_equal(
        band(ax)[1], [exponents.min(axis=0), exponents.max(axis=0)]
    )
    assert ax.get_ylabel() == "Lyapunov exponent, nats per step"
    largest = f"largest exponent {exponents.mean(axis=0).max():+.3g} nats per step"
    assert ax.get_title() == largest
    assert ax.lines[1].get_ydata() == [0, 0]


def test_spectrum_of_one_sequence_has_standard_errors(ax):
    spectrum = flow.LyapunovSpectrum(
        jnp.array([0.5, -1.0, -INF]), jnp.array([0.1, NAN, INF])
    )
    plot.spectrum(spectrum, ax=ax)
    np.testing.assert_array_equal(line(ax)[1], [0.5, -1, NAN])
    assert ax.get_title() == (
        "largest exponent +0.5 nats per step; 1 of 3 directions lost"
    )
    lone = Figure().subplots()
    one = flow.LyapunovSpectrum(jnp.array([[2.0, 1.0]]), jnp.array([[0.25, 0.5]]))
    plot.spectrum(one, ax=lone)
    np.testing.assert_array_equal(band(lone)[1], [[1.75, 0.5], [2.25, 1.5]])


def test_spectra_of_several_sizes_and_lost_ones(ax):
    plot.spectrum({"a": np.array([1.0]), "b": np.array([-INF, -INF])}, ax=ax)
    assert texts(ax) == ["a", "b"]
    assert ax.get_title() == ""
    lost = plot.spectrum(np.full(2, -INF), ax=Figure().subplots())
    assert lost.get_title() == "2 of 2 directions lost"


def test_paths_of_a_cell(ax):
    cell, params, xs = lstm()
    _, parts = flow.split_by_path(cell, params, xs, last)
    plot.paths(parts, ax=ax, xlabel="step")
    for i, part in enumerate(parts):
        logs = np.asarray(flow.log_norms(part), float)
        norms = np.exp(logs.mean(axis=1))
        drawn = np.where(norms > 0, norms, NAN)  # at the last step no path has a gate
        np.testing.assert_allclose(line(ax, i)[1], drawn)
    assert texts(ax)[1] == "along the highway"
    assert (ax.get_yscale(), ax.get_xlabel()) == ("log", "step")


def test_lag_matrix_of_a_cell(ax):
    cell, params, xs = lstm()
    lags = flow.lag_matrix(cell, params, xs, lambda ys: (ys**2).sum(axis=-1))
    assert isinstance(lags, jax.Array)
    plot.lag_matrix(lags, ax=ax, title="lags")
    shown = ax.images[0].get_array()
    expected = np.asarray(lags, float).mean(axis=2) / np.log(10)
    above = np.triu(np.ones((TIME, TIME), bool), 1)  # lags before the first state
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), above)
    np.testing.assert_allclose(shown.data[~above], expected[~above])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lag k, steps", "step t of the loss")
    assert ax.get_title() == "lags"
    bar = ax.images[0].colorbar
    assert bar.ax.get_ylabel() == (r"$\log_{10} \|\partial L_t/\partial s_{t-k}\|$")


@pytest.mark.parametrize("values", [-INF, NAN, INF, 0.0])
def test_maps_of_one_value(ax, values):
    plot.lag_matrix(np.full((3, 3), values), ax=ax)
    low, high = ax.images[0].get_clim()
    assert low < high
    ax.figure.canvas.draw()


def test_limits_of_colors_mark_what_lies_outside(ax):
    logs = np.log(10) * np.array([[-9.0, -1.0], [-2.0, 3.0]])
    plot.lag_matrix(logs, ax=ax, limits=(-2, 0))
    assert ax.images[0].get_clim() == (-2, 0)
    assert ax.images[0].colorbar.extend == "both"
    bare = Figure().subplots()
    plot.lag_matrix(logs, ax=bare, colorbar=False)
    assert bare.figure.axes == [bare]


def test_gradient_heat_map(ax):
    logs = np.log(10) * np.arange(12.0).reshape(3, 2, 2)
    plot.gradient_heat_map(logs, np.array([0, 40, 60]), ax=ax)
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_array(), [[0.5, 2.5], [4.5, 6.5], [8.5, 10.5]])
    corners = mesh.get_coordinates()
    np.testing.assert_array_equal(corners[0, :, 0], [-0.5, 0.5, 1.5])
    np.testing.assert_array_equal(corners[:, 0, 1], [0, 20, 50, 60])
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "step t of the sequence",
        "training step",
    )


def test_one_row_has_a_height(ax):
    plot.gradient_heat_map(np.zeros((1, 3)), [5], ax=ax)
    assert tuple(ax.get_ylim()) == (4.5, 5.5)


def test_saliency_of_a_cell(ax):
    cell, params, xs = lstm()
    _, gradients = flow.input_saliency(
        cell, params, xs, last, lengths=jnp.array([12, 9, 10])
    )
    plot.saliency(gradients, ax=ax)
    shown = ax.images[0].get_array()
    assert shown.shape == (INPUTS, TIME)
    first = np.log10(np.abs(np.asarray(gradients[0], float))).mean(axis=0)
    np.testing.assert_allclose(shown[:, 0], first, rtol=1e-6)
    end = np.log10(np.abs(np.asarray(gradients[11, 0], float)))  # the only one left
    np.testing.assert_allclose(shown[:, 11], end, rtol=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step t", "input")


def test_signed_saliency_is_centered_at_zero(ax):
    contributions = np.array([[[1.0, -3.0], [3.0, -5.0]], [[0.0, 1.0], [0.0, 1.0]]])
    plot.saliency(contributions, ax=ax, signed=True)
    np.testing.assert_array_equal(ax.images[0].get_array(), [[2, 0], [-4, 1]])
    assert ax.images[0].get_clim() == (-4, 4)
    nothing = plot.saliency(np.zeros((2, 3)), ax=Figure().subplots(), signed=True)
    assert nothing.images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: plot.saliency(np.ones(3), ax=ax), r"batch, inputs\]; got .* \[3\]"),
        (lambda ax: plot.lag_matrix(np.ones(3), ax=ax), r"time, lag, .* \[3\]"),
        (
            lambda ax: plot.gradient_heat_map(np.ones((3, 2)), [1, 2], ax=ax),
            r"each of 3 probes; got \[2\]",
        ),
    ],
)
def test_wrong_shapes_are_refused(ax, untyped, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(ax)


def test_a_new_figure_is_made_only_without_axes_and_settings_stay():
    matplotlib.pyplot.get_backend()  # else it is chosen by the first figure
    before = matplotlib.rcParams.copy()
    opened = matplotlib.pyplot.get_fignums()
    plot.gradient_norms(np.arange(4.0), ax=Figure().subplots())
    plot.lag_matrix(np.zeros((2, 2)), ax=Figure().subplots())
    assert matplotlib.pyplot.get_fignums() == opened
    plot.gradient_norms(np.arange(4.0))
    assert len(matplotlib.pyplot.get_fignums()) == len(opened) + 1
    matplotlib.pyplot.close(matplotlib.pyplot.get_fignums()[-1])
    assert matplotlib.rcParams == before


def test_axes_of_indices_are_numbered_by_integers():
    few = np.zeros((4, 3))
    drawn = [
        plot.gradient_norms(few, ax=Figure().subplots()),
        plot.curves(few, ax=Figure().subplots()),
        plot.spectrum(few[0], ax=Figure().subplots()),
        plot.lag_matrix(np.zeros((3, 3)), ax=Figure().subplots()),
        plot.saliency(few, ax=Figure().subplots()),
        plot.gradient_heat_map(few, [0, 1, 2, 3], ax=Figure().subplots()),
    ]
    for ax in drawn:
        assert all(tick == round(tick) for tick in ax.get_xticks())
    assert (
        0.2 in plot.curves(few, x=[0, 0.5, 1, 1.5], ax=Figure().subplots()).get_xticks()
    )


def test_each_path_has_a_style():
    part = np.ones((10, 4, 8))
    ax = plot.paths(flow.Paths(part, part, part), ax=Figure().subplots())
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", ":"]
    legend = ax.get_legend()
    assert legend is not None and len(legend.get_texts()) == 3
    ax = plot.paths(
        flow.Paths(part, part, part),
        ax=Figure().subplots(),
        linestyle="-",
        legend=False,
    )
    assert {line.get_linestyle() for line in ax.lines} == {"-"} and not ax.get_legend()
