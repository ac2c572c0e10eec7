"""The answer, the claims and the tables of vanishing gradients."""

from collections.abc import Sequence

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
    Case,
    Claim,
    claim_of_cases,
    positive,
)
from experiments.harness.intervals import Interval, interval
from experiments.vanishing.measure import (
    NetComparison,
    NetResult,
    compare_nets,
    log_deviation_ratio,
)
from experiments.vanishing.networks import (
    ELMAN,
    FEED_FORWARD,
    GRU,
    LSTM,
    MATRIX_PER_STEP,
    ONE_MATRIX,
)

TANH = "tanh"
TIMES = {"before": "untrained", "after": "trained"}
MATCHED = [(ELMAN[kind], FEED_FORWARD[kind]) for kind in ELMAN]
SEQUENTIAL = ((ELMAN[TANH], ONE_MATRIX), (MATRIX_PER_STEP, FEED_FORWARD[TANH]))
SHARED = ((ONE_MATRIX, FEED_FORWARD[TANH]), (ELMAN[TANH], MATRIX_PER_STEP))
SHARING = (FEED_FORWARD[TANH], ONE_MATRIX, MATRIX_PER_STEP, ELMAN[TANH])

ANSWERS = {  # by the outcome of the first claim
    SUPPORTED: "Yes: before training, gradients vanish faster in a recurrent net than "
    "in a feed-forward one.",
    PARTLY_SUPPORTED: "Partly: before training, gradients vanish faster in a recurrent "
    "net than in a feed-forward one for some activations, widths and initializers.",
    INCONCLUSIVE: "The seeds do not decide whether gradients vanish faster in a "
    "recurrent net than in a feed-forward one.",
    REFUTED: "No: before training, gradients do not vanish faster in a recurrent net "
    "than in a feed-forward one.",
}


def evaluate_claims(results: Sequence[NetResult]) -> list[Claim]:
    """Evaluate the claims that the networks allow to test.

    Args:
        results: Results of all networks.

    Returns:
        One claim per hypothesis that was tested.
    """
    hypotheses = [
        (
            f"{time}, gradients vanish faster in a recurrent net than in a "
            f"feed-forward one{condition}",
            compare_nets(results, when, MATCHED),
        )
        for time, when, condition in (
            ("Before training", "before", ""),
            ("After training", "after", ", where both have learned"),
        )
    ]
    hypotheses.append(
        (
            "Sharing one matrix among all layers or steps makes gradients vanish "
            "faster than one matrix per layer or step",
            compare_nets(results, "before", SHARED),
        )
    )
    hypotheses.append(
        (
            "Reading the pixels in sequence makes gradients vanish faster than reading "
            "all at once, with one matrix and with many",
            compare_nets(results, "before", SEQUENTIAL),
        )
    )
    hypotheses += [
        (
            f"The gradient of the {gated} vanishes more slowly than Elman's",
            [
                pair
                for when in ("before", "after")
                for pair in compare_nets(results, when, [(ELMAN[TANH], gated)])
            ],
        )
        for gated in (LSTM, GRU)
    ]
    claims = []
    for text, pairs in hypotheses:
        pairs = [pair._replace(cases=len(pairs)) for pair in pairs]
        if pairs:
            claims.append(
                claim_of_cases(
                    text,
                    "Difference of the decay rates, in nats per layer or step.",
                    [
                        Case(
                            f"{pair.case}, {pair.width} units", pair.text, pair.outcome
                        )
                        for pair in pairs
                    ],
                )
            )
    return [*claims, spread_claim(compare_nets(results, "before", SHARED))]


def untrained_findings(results: Sequence[NetResult], noun: str = "digits") -> list[str]:
    """Name the networks that did not learn.

    Args:
        results: Results of all networks.
        noun: Noun for the examples.

    Returns:
        One sentence; nothing if all trained networks learned.
    """
    failed = [result for result in results if not result.learned]
    if not failed:
        return []
    names = "; ".join(
        f"{net.net} from {net.init} (decay {net.rates.mean():+.3f})" for net in failed
    )
    return [
        f"These networks classify at most {failed[0].least:.0%} of held-out {noun} "
        "correctly "
        f"after training from some seed, so they learned next to nothing: {names}."
    ]


def spread_claim(pairs: Sequence[NetComparison]) -> Claim:
    """Claim that decay rates vary more over seeds if all steps share one matrix.

        ln (s_first / s_second),   s the standard deviation of the rates over seeds

    Each case has independent parameters and is one sample.

    Args:
        pairs: Comparisons of one shared matrix with many matrices.

    Returns:
        A `Claim`.
    """
    text = (
        "The decay rate varies more over seeds with one matrix for all steps than with "
        "one matrix per step"
    )
    if len(pairs[0].first.rates) < 2:
        return Claim(text, INCONCLUSIVE, "One seed has no standard deviation.")
    bounds = interval([log_deviation_ratio(pair) for pair in pairs])
    ratio = Interval(*np.exp(bounds)).text("{:.1f}")
    return Claim(
        text,
        positive(bounds),
        "Ratio of the standard deviations of the decay rates, geometric mean over "
        "initializers, widths and networks.",
        [Case("one matrix over one per step", ratio, positive(bounds))],
    )


def all_tables(results: Sequence[NetResult]) -> dict[str, tables.Table]:
    """All tables of the report.

    Args:
        results: Results of all networks.

    Returns:
        Tables by title.
    """
    made = {
        "Recurrent and feed-forward nets with the same initializer": matched_table(
            results
        ),
        "One shared matrix, or one matrix per step": rates_table(
            results, SHARING, ["before"]
        ),
        "Gates": rates_table(results, (ELMAN[TANH], LSTM, GRU), list(TIMES)),
    }
    accuracies = accuracy_table(results)
    return made | ({"Trained nets": accuracies} if accuracies.rows else {})


def matched_table(results: Sequence[NetResult]) -> tables.Table:
    """Comparisons, one row per initializer, activation and width."""
    header = [
        "Elman's net and layers",
        "units",
        "recurrent, nats/step",
        "feed-forward, nats/layer",
        "difference [95 % jointly]",
        "recurrent vanishes faster",
    ]
    rows = []
    for when, word in TIMES.items():
        for pair in compare_nets(results, when, MATCHED):
            activation = pair.first.net.split()[-1]
            rows.append(
                [
                    f"{word}, {activation}, {pair.first.init}",
                    str(pair.width),
                    rate_text(pair.first),
                    rate_text(pair.second),
                    interval_text(pair.difference),
                    pair.outcome,
                ]
            )
    return tables.Table(header, rows)


def rates_table(
    results: Sequence[NetResult], names: Sequence[str], times: Sequence[str]
) -> tables.Table:
    """Decay rates, one row per initializer and width, one column per network."""
    rows = []
    for when in times:
        by_setting = {}
        for result in results:
            if result.when == when:
                setting = result.init, result.width
                by_setting.setdefault(setting, {})[result.net] = result
        rows += [
            [
                f"{TIMES[when]}, {init}",
                str(width),
                *(rate_text(nets.get(name)) for name in names),
            ]
            for (init, width), nets in by_setting.items()
        ]
    return tables.Table(["nats per layer or step", "units", *names], rows)


def accuracy_table(results: Sequence[NetResult]) -> tables.Table:
    """Accuracies, one row per trained network."""
    rows = [
        [
            f"{result.net}, {result.init}",
            str(result.width),
            tables.mean_and_deviation(100 * result.accuracy, "{:.1f}"),
            rate_text(result),
        ]
        for result in results
        if result.accuracy is not None
    ]
    header = ["trained net", "units", "test accuracy, %", "decay after, nats/step"]
    return tables.Table(header, rows)


def rate_text(result: NetResult | None) -> str:
    """The mean decay rate and its interval; "-" if there is no such network."""
    return "-" if result is None else interval_text(interval(result.rates))


def interval_text(bounds: Interval) -> str:
    """An interval as text; "none" if some seed has no gradient."""
    return "none" if np.isnan(bounds.mean) else bounds.text("{:+.3f}")
