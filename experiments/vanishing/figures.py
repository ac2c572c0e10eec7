"""The figures of gradients that vanish over depth and over time."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness import plotting
from experiments.harness.claims import INCONCLUSIVE, REFUTED, SUPPORTED
from experiments.harness.plotting import Plot
from experiments.vanishing.claims import MATCHED, SHARING, TANH, TIMES
from experiments.vanishing.measure import (
    NetResult,
    compare_nets,
    relative_log_norms,
    smallest_norm,
)
from experiments.vanishing.networks import (
    ELMAN,
    FEED_FORWARD,
    GRU,
    LSTM,
    MATRIX_PER_STEP,
    ONE_MATRIX,
)
from nets.flow import plot

COMPARED = (*FEED_FORWARD.values(), *ELMAN.values(), LSTM, GRU)

# Blue and orange for tanh and ReLU; dashed if each layer has a separate matrix.
LINES = {
    FEED_FORWARD["tanh"]: (plotting.COLORS[0], "--", "s"),
    FEED_FORWARD["ReLU"]: (plotting.COLORS[1], "--", "s"),
    ELMAN["tanh"]: (plotting.COLORS[0], "-", "o"),
    ELMAN["ReLU"]: (plotting.COLORS[1], "-", "o"),
    LSTM: (plotting.COLORS[2], "-", "o"),
    GRU: (plotting.COLORS[3], "-", "o"),
    ONE_MATRIX: (plotting.COLORS[6], "-", "s"),
    MATRIX_PER_STEP: (plotting.COLORS[4], "--", "o"),
}


def draw(results: Sequence[NetResult], width: int, caption: str) -> Plot:
    """Draw the gradient against its distance from the loss, before and after training.

    Args:
        results: Results of all networks.
        width: Width of the networks to draw.
        caption: Setting of the run.

    Returns:
        A `Plot` with one column per initializer that was trained; one column per
        initializer if nothing was trained.
    """
    trained = [result for result in results if result.when == "after"]
    shown = trained or [r for r in results if r.width == width] or list(results)
    width, times = shown[0].width, list(TIMES)[: 2 if trained else 1]
    inits = list(dict.fromkeys(result.init for result in shown))
    finding = title(results, width, inits)
    figure, axes = grid(len(times), len(inits), finding)
    for row, when in zip(axes, times, strict=True):
        for axis, init in zip(row, inits, strict=True):
            for result in results:
                setting = result.init, result.width, result.when
                if setting == (init, width, when):
                    draw_norms(axis, result)
            axis.set(title=f"{init}, {TIMES[when]}", yscale="log")
        row[0].set_ylabel("norm of the gradient,\nrelative to the last layer")
        drawn = [r for r in results if (r.width, r.when) == (width, when)]
        drawn = [r for r in drawn if r.net in COMPARED and r.init in inits]
        if (lowest := smallest_norm(drawn)) is not None:
            row[0].set_ylim(bottom=lowest)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if any(not result.learned for result in shown):
        handles.append(Line2D([], [], color="0.3", linestyle=":"))
        labels.append("(dotted) learned nothing")
    figure.legend(
        handles, labels, loc="outside right center", fontsize=9, handlelength=3
    )
    units = f"{width} units" if width > 1 else "One unit"
    return plotting.captioned(
        figure,
        finding,
        f"{units}. Lines: geometric mean over seeds, dotted if the net learned "
        "nothing. Bands: range of seeds. The y axis of each row fits the nets that "
        f"learned; dotted lines may leave the panel. {caption}",
        "Norm of the gradient of a layer or state, relative to the last layer or step, "
        "against the distance from the loss.",
    )


def grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """A grid of panels that share one y axis per row."""
    with rc_context({"font.size": 10}):
        size = max(4.0 * columns + 2.4, 8.5), 3.1 * rows + 1.6
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        figure.suptitle(title, fontweight="bold", fontsize=12)
        axes = figure.subplots(rows, columns, sharey="row", squeeze=False)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    return figure, axes


def draw_norms(axis: Axes, result: NetResult) -> None:
    """Draw the norms of one network, relative to the last layer or step."""
    if result.net not in COMPARED:
        return
    norms = relative_log_norms(result)
    color, style, _ = LINES[result.net]
    style = style if result.learned else ":"
    plot.gradient_norms(
        {result.net: norms.T},
        ax=axis,
        xlabel="layers or steps away from the loss",
        ylabel="",
        legend=False,
        color=color,
        linestyle=style,
        linewidth=1.5,
    )


def title(results: Sequence[NetResult], width: int, inits: Sequence[str]) -> str:
    """The finding: for which initializers Elman's gradient vanishes faster."""
    words = {SUPPORTED: "yes from", REFUTED: "no from", INCONCLUSIVE: "undecided from"}
    lines = ["Does Elman's gradient vanish faster than that of as many tanh layers?"]
    for when, time in TIMES.items():
        inits_by_word = {word: [] for word in words.values()}
        for pair in compare_nets(results, when, MATCHED):  # as in the table
            shown = pair.width == width and pair.first.init in inits
            if shown and pair.first.net == ELMAN[TANH]:
                inits_by_word[words[pair.outcome]].append(pair.first.init)
        phrases = [
            f"{word} {' and '.join(names)}"
            for word, names in inits_by_word.items()
            if names
        ]
        failed = [
            result.init
            for result in results
            if result.when == when
            and result.net == FEED_FORWARD[TANH]
            and not result.learned
        ]
        if failed:
            phrases.append(f"from {' and '.join(failed)} the layers learn nothing")
        if phrases:
            lines.append(f"{time.capitalize()}: {'; '.join(phrases)}")
    return "\n".join(lines)


def draw_rates(results: Sequence[NetResult], caption: str) -> Plot:
    """Draw the decay rates at initialization, by initializer and width.

    Args:
        results: Results of all networks.
        caption: Setting of the run.

    Returns:
        A `Plot`: all networks in the upper row; in the lower row, one shared matrix
        compared with one matrix per step.
    """
    before = [result for result in results if result.when == "before"]
    inits = list(dict.fromkeys(result.init for result in before))
    widths = list(dict.fromkeys(result.width for result in before))
    finding = rates_title(results)
    figure, axes = grid(2, len(inits), finding)
    for row, nets in zip(axes, (COMPARED, SHARING), strict=True):
        for axis, init in zip(row, inits, strict=True):
            for result in before:
                if result.init == init and result.net in nets:
                    tick = widths.index(result.width)
                    draw_dots(axis, result, tick + offset(result.net, nets))
            axis.axhline(0, color="0.3", linewidth=0.8, zorder=0)
            axis.set(title=init, xlabel="units", xticks=range(len(widths)))
            axis.set_xticklabels(map(str, widths))
            axis.set_xlim(-0.5, len(widths) - 0.5)
        row[0].set_ylabel("decay rate, nats per layer or step")
        handles, names = row[0].get_legend_handles_labels()
        unique = dict(zip(names, handles, strict=True))
        row[-1].legend(
            unique.values(),
            unique.keys(),
            loc="center left",
            bbox_to_anchor=(1.02, 0.5),
            fontsize=9,
        )
    return plotting.captioned(
        figure,
        finding,
        f"Untrained; small dots: single seeds; large dots: means. {caption}",
        "Decay rate at initialization, by initializer and width.",
    )


def offset(net: str, nets: Sequence[str]) -> float:
    """Horizontal offset of a network from the tick of its width."""
    return 0.13 * (nets.index(net) - (len(nets) - 1) / 2)


def draw_dots(axis: Axes, result: NetResult, x: float) -> None:
    """Draw the decay rates of one network, and their mean."""
    color, style, marker = LINES[result.net]
    rates = result.rates
    axis.plot(np.full(len(rates), x), rates, ".", color=color, alpha=0.5, ms=4)
    inside = "white" if style == "--" else color
    axis.plot(x, rates.mean(), marker, color=color, mfc=inside, ms=6, label=result.net)


def rates_title(results: Sequence[NetResult]) -> str:
    """The finding: number of cases in which Elman's gradient vanishes faster."""
    outcomes = [pair.outcome for pair in compare_nets(results, "before", MATCHED)]
    return (
        "At initialization the gradient of the recurrent net vanishes faster than that "
        f"of the feed-forward net\nin {outcomes.count(SUPPORTED)} of {len(outcomes)} "
        f"cases, does not in {outcomes.count(REFUTED)}, undecided in "
        f"{outcomes.count(INCONCLUSIVE)}"
    )
