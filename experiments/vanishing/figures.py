"""The figures and tables of gradients that vanish over depth and over time."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness import claims, plotting, tables
from experiments.harness.claims import INCONCLUSIVE, REFUTED, SUPPORTED
from experiments.harness.intervals import Interval
from experiments.harness.plotting import Plot
from experiments.vanishing.claims import TANH, Decay, lowest, pairs, shares
from experiments.vanishing.networks import (
    ELMAN,
    FEED_FORWARD,
    GRU,
    LSTM,
    ONE_MATRIX,
    OWN_MATRICES,
)

TIMES = {"before": "untrained", "after": "trained"}
MATCHED = [(ELMAN[kind], FEED_FORWARD[kind]) for kind in ELMAN]
COMPARED = (*FEED_FORWARD.values(), *ELMAN.values(), LSTM, GRU)
SHARING = (FEED_FORWARD[TANH], ONE_MATRIX, OWN_MATRICES, ELMAN[TANH])

# Blue and orange for tanh and ReLU, dashed where layers have matrices of their own.
LOOKS = {
    FEED_FORWARD["tanh"]: (plotting.COLOURS[0], "--", "s"),
    FEED_FORWARD["ReLU"]: (plotting.COLOURS[1], "--", "s"),
    ELMAN["tanh"]: (plotting.COLOURS[0], "-", "o"),
    ELMAN["ReLU"]: (plotting.COLOURS[1], "-", "o"),
    LSTM: (plotting.COLOURS[2], "-", "o"),
    GRU: (plotting.COLOURS[3], "-", "o"),
    ONE_MATRIX: (plotting.COLOURS[6], "-", "s"),
    OWN_MATRICES: (plotting.COLOURS[4], "--", "o"),
}


def draw(found: Sequence[Decay], width: int, caption: str) -> Plot:
    """The gradient against its distance from the loss, before and after training.

    Args:
        found: What was found.
        width: Of the nets to draw.
        caption: What was done, so that the figure can stand alone.

    Returns:
        A `Plot`: a column a scheme that was trained, or a scheme if none was.
    """
    trained = [one for one in found if one.when == "after"]
    shown = trained or [one for one in found if one.width == width] or list(found)
    width, times = shown[0].width, list(TIMES)[: 2 if trained else 1]
    schemes = list(dict.fromkeys(one.scheme for one in shown))
    finding = title(found, width, schemes)
    figure, axes = grid(len(times), len(schemes), finding)
    for row, when in zip(axes, times, strict=True):
        for axis, scheme in zip(row, schemes, strict=True):
            for one in found:
                if (one.scheme, one.width, one.when) == (scheme, width, when):
                    line(axis, one)
            axis.set(title=f"{scheme}, {TIMES[when]}", yscale="log")
            axis.set_xlabel("layers or steps away from the loss")
        row[0].set_ylabel("norm of the gradient,\nover that next to the loss")
        drawn = [one for one in found if (one.width, one.when) == (width, when)]
        drawn = [one for one in drawn if one.net in COMPARED and one.scheme in schemes]
        if (floor := lowest(drawn)) is not None:
            row[0].set_ylim(bottom=floor)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if any(not one.learnt for one in shown):
        handles.append(Line2D([], [], color="0.3", linestyle=":"))
        labels.append("(dotted) learned nothing")
    figure.legend(
        handles, labels, loc="outside right center", fontsize=9, handlelength=3
    )
    units = f"{width} units" if width > 1 else "One unit"
    return plotting.captioned(
        figure,
        finding,
        f"{units}. Lines: geometric mean over seeds, dotted of nets that learned "
        "nothing, which may leave the panel; bands: their range. The scale of a row is "
        f"that of the nets that learned. {caption}",
        "Norm of the gradient of a layer or a state, relative to the last one, against "
        "its distance from the loss.",
    )


def grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """Panels on one y axis a row."""
    with rc_context({"font.size": 10}):
        size = max(4.0 * columns + 2.4, 8.5), 3.1 * rows + 1.6
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        figure.suptitle(title, fontweight="bold", fontsize=12)
        axes = figure.subplots(rows, columns, sharey="row", squeeze=False)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    return figure, axes


def line(axis: Axes, one: Decay) -> None:
    """The norms of one net, as a share of that next to the loss."""
    if one.net not in COMPARED:
        return
    share = shares(one)
    colour, style, _ = LOOKS[one.net]
    style = style if one.learnt else ":"
    x = np.arange(share.shape[1])
    axis.plot(x, np.exp(share.mean(axis=0)), style, color=colour, label=one.net)
    low, high = np.exp(share.min(axis=0)), np.exp(share.max(axis=0))
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def title(found: Sequence[Decay], width: int, schemes: Sequence[str]) -> str:
    """Whether Elman's gradient vanishes faster than that of as many tanh layers."""
    words = {SUPPORTED: "yes from", REFUTED: "no from", INCONCLUSIVE: "open from"}
    lines = ["Does Elman's gradient vanish faster than that of as many tanh layers?"]
    for when, time in TIMES.items():
        parts = {word: [] for word in words.values()}
        for pair in pairs(found, when, MATCHED):  # as the table judges them
            shown = pair.width == width and pair.first.scheme in schemes
            if shown and pair.first.net == ELMAN[TANH]:
                parts[words[pair.outcome]].append(pair.first.scheme)
        said = [
            f"{word} {' and '.join(names)}" for word, names in parts.items() if names
        ]
        dead = [
            one.scheme
            for one in found
            if one.when == when and one.net == FEED_FORWARD[TANH] and not one.learnt
        ]
        if dead:
            said.append(f"from {' and '.join(dead)} the layers learn nothing")
        if said:
            lines.append(f"{time.capitalize()}: {'; '.join(said)}")
    return "\n".join(lines)


def draw_rates(found: Sequence[Decay], caption: str) -> Plot:
    """The decay rates at initialisation, by scheme and width.

    Args:
        found: What was found.
        caption: What was done.

    Returns:
        A `Plot`: above all nets, below what one matrix for all steps changes.
    """
    before = [one for one in found if one.when == "before"]
    schemes = list(dict.fromkeys(one.scheme for one in before))
    widths = list(dict.fromkeys(one.width for one in before))
    finding = rates_title(found)
    figure, axes = grid(2, len(schemes), finding)
    for row, nets in zip(axes, (COMPARED, SHARING), strict=True):
        for axis, scheme in zip(row, schemes, strict=True):
            for one in before:
                if one.scheme == scheme and one.net in nets:
                    place = widths.index(one.width)
                    dots(axis, one, place + beside(one.net, nets))
            axis.axhline(0, color="0.3", linewidth=0.8, zorder=0)
            axis.set(title=scheme, xlabel="units", xticks=range(len(widths)))
            axis.set_xticklabels(map(str, widths))
            axis.set_xlim(-0.5, len(widths) - 0.5)
        row[0].set_ylabel("decay rate, nats a layer or step")
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
        f"Untrained; small dots: one per seed; large dots: means. {caption}",
        "Decay rate at initialization, by initializer and width.",
    )


def beside(net: str, nets: Sequence[str]) -> float:
    """Where a net stands among those drawn around one tick."""
    return 0.13 * (nets.index(net) - (len(nets) - 1) / 2)


def dots(axis: Axes, one: Decay, x: float) -> None:
    """The rates of one net, and their mean."""
    colour, style, marker = LOOKS[one.net]
    rates = one.rates
    axis.plot(np.full(len(rates), x), rates, ".", color=colour, alpha=0.5, ms=4)
    inside = "white" if style == "--" else colour
    axis.plot(x, rates.mean(), marker, color=colour, mfc=inside, ms=6, label=one.net)


def rates_title(found: Sequence[Decay]) -> str:
    """In how many cases Elman's gradient vanishes faster."""
    said = [pair.outcome for pair in pairs(found, "before", MATCHED)]
    return (
        "At initialisation the recurrent net's gradient vanishes faster than the "
        f"feed-forward one's\nin {said.count(SUPPORTED)} of {len(said)} cases, not so "
        f"in {said.count(REFUTED)}, open in {said.count(INCONCLUSIVE)}"
    )


def tables_of(found: Sequence[Decay]) -> dict[str, tables.Table]:
    """What was found.

    Args:
        found: What was found.

    Returns:
        Tables by their titles.
    """
    made = {"Recurrent and feed-forward, drawn alike": matched(found)}
    made["One matrix, or a matrix a step"] = rates(found, SHARING, ["before"])
    made["Gates"] = rates(found, (ELMAN[TANH], LSTM, GRU), list(TIMES))
    reached = accuracies(found)
    return made | ({"Trained": reached} if reached.rows else {})


def matched(found: Sequence[Decay]) -> tables.Table:
    """Pairs of nets, a line a scheme, activation and width."""
    header = [
        "Elman's net and layers",
        "units",
        "recurrent, nats/step",
        "feed-forward, nats/layer",
        "difference [95 % jointly]",
        "recurrent is worse",
    ]
    rows = []
    for when, word in TIMES.items():
        for pair in pairs(found, when, MATCHED):
            kind = pair.first.net.split()[-1]
            rows.append(
                [
                    f"{word}, {kind}, {pair.first.scheme}",
                    str(pair.width),
                    rate(pair.first),
                    rate(pair.second),
                    text(pair.difference),
                    pair.outcome,
                ]
            )
    return tables.Table(header, rows)


def rates(
    found: Sequence[Decay], names: Sequence[str], times: Sequence[str]
) -> tables.Table:
    """Decay rates, a line a scheme and width, a column a net."""
    rows = []
    for when in times:
        by_place = {}
        for one in found:
            if one.when == when:
                by_place.setdefault((one.scheme, one.width), {})[one.net] = one
        rows += [
            [
                f"{TIMES[when]}, {scheme}",
                str(width),
                *(rate(nets.get(n)) for n in names),
            ]
            for (scheme, width), nets in by_place.items()
        ]
    return tables.Table(["nats a layer or step", "units", *names], rows)


def accuracies(found: Sequence[Decay]) -> tables.Table:
    """Of the nets that were trained."""
    rows = [
        [
            f"{one.net}, {one.scheme}",
            str(one.width),
            tables.mean_and_deviation(100 * one.accuracy, "{:.1f}"),
            rate(one),
        ]
        for one in found
        if one.accuracy is not None
    ]
    header = ["trained net", "units", "test accuracy, %", "decay after, nats/step"]
    return tables.Table(header, rows)


def rate(one: Decay | None) -> str:
    """The mean decay rate and its interval, of a net that was measured."""
    return "-" if one is None else text(claims.interval(one.rates))


def text(found: Interval) -> str:
    """An interval in words; of a net that is dead, some seed's gradient is none."""
    return "none" if np.isnan(found.mean) else found.text("{:+.3f}")
