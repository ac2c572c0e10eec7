"""Dates to ISO 8601: the command from end to end, and the claims about numbers."""

from functools import partial

import numpy as np
import pytest
from commands import LEAKY, files, rows

from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.harness.intervals import interval
from experiments.translate_dates import claims as judged
from experiments.translate_dates import experiment as translate_dates
from experiments.translate_dates import figures, measure
from experiments.translate_dates.measure import (
    AttentionResult,
    TranslationResult,
    Translations,
)
from train.data import dates
from train.data.date_formats import FORMATS

TINY = ["--features=4", "--embedding=3", "--steps=5", "--batch_size=4", "--seeds=0,1"]
TINY += ["--examples=40", "--held_out=26", "--beam=2", "--cell=gru"]


@pytest.fixture
def run(launched, tmp_path):
    (tmp_path / "mycells.py").write_text(LEAKY.format(keep=0.01))
    return partial(launched, translate_dates)


@pytest.mark.slow
def test_it_trains_and_translates(run, tmp_path):
    date_flag = "--date=5 mars 2024; March 5, 2024;"
    code, out, err = run(*TINY, date_flag, "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    names = {"config.json", "metrics.jsonl", "checkpoints", "report.html"}
    names |= {"translate_dates.png", "attention.png"}
    assert files(folder) == names
    assert (folder / "report.html").read_text().count("<img ") == 2

    exact = {(r["model"], r["seed"]): r for r in rows(folder, "exact")}
    models = ["with attention", "without attention"]
    assert list(exact) == [(model, seed) for model in models for seed in (0, 1)]
    test = dates.load(1, 26, held_out=True)
    sources, true = dates.decode(test.sources), dates.iso(test.targets)
    mistakes = rows(folder, "mistake")
    for (model, seed), row in exact.items():
        ours = [m for m in mistakes if (m["model"], m["seed"]) == (model, seed)]
        by_source = {m["source"]: m for m in ours}
        texts = list(zip(sources, true, strict=True))
        greedy = [by_source[s]["greedy"] if s in by_source else t for s, t in texts]
        beam = [by_source[s]["beam"] if s in by_source else t for s, t in texts]
        pairs = list(zip(greedy, true, strict=True))
        assert row["greedy"] == np.mean([g == t for g, t in pairs])
        assert row["beam"] == np.mean([b == t for b, t in zip(beam, true, strict=True)])
        right = [a == b for g, t in pairs for a, b in zip(g, t, strict=True)]
        np.testing.assert_allclose(row["characters"], np.mean(right))
        assert all(m["date"] == true[sources.index(m["source"])] for m in ours)
        assert all(len(m["greedy"]) == len(m["beam"]) == 10 for m in ours)
    curve = rows(folder, "curve")
    steps = [r["step"] for r in curve if (r["model"], r["seed"]) == (models[0], 1)]
    assert steps == [0, 1, 2, 3, 4, 5]  # before each step, and at the end
    for seed, row in enumerate(rows(folder, "attention")):
        assert row["seed"] == seed
        np.testing.assert_allclose(np.sum(row["share"], axis=1), 1, atol=1e-5)
    answers = rows(folder, "translation")
    assert [row["date"] for row in answers] == ["5 mars 2024", "March 5, 2024"]
    for row in answers:
        assert f"{row['date']}" in out and row["with attention"] in out
    claims = [row["text"] for row in rows(folder, "claim")]
    assert len(claims) == 4 and "at least 95% of held-out dates" in claims[0]


@pytest.mark.slow
def test_a_model_of_its_own_kind_and_cell(run, tmp_path):
    flags = ["--attention=without", "--cell=mycells:leaky", "--nobidirectional"]
    code, out, err = run(*TINY, *flags, "--steps=1", "--seeds=3", "--results=out")
    assert (code, err) == (0, "")
    assert not (tmp_path / "out" / "attention.png").exists()
    assert len(rows(tmp_path / "out", "claim")) == 2
    assert "with attention" not in out.replace("without", "")
    claims = rows(tmp_path / "out", "claim")
    assert [row["outcome"] for row in claims] == ["inconclusive"] * 2  # one seed


def test_every_character_of_a_source_has_one_part():
    test = dates.load(1, 26, held_out=True)
    parts = measure.source_parts(test)
    assert (parts.sum(axis=-1) == 1).all()
    place = [form.pattern for form in FORMATS].index("{dd}.{mm}.{y}")
    letters = [measure.READS[i][0] for i in parts[place].argmax(axis=-1)]
    assert "".join(letters) == "ddrmmryyyy" + 20 * "r"


def made(name, right, curve, beam=None, steps=100):
    """A result on ten dates; `right` of them are exact, one number per seed."""
    targets = dates.load(1, 10, held_out=True).targets

    def wrote(counts):
        symbols = np.stack([targets] * len(counts))
        for symbol, count in zip(symbols, counts, strict=True):
            symbol[count:, 6] = 10
        return Translations(symbols, np.zeros(symbols.shape[:2]))

    probes = np.linspace(0, steps, len(curve[0])).astype(int)
    beam = wrote(right if beam is None else beam)
    return TranslationResult(
        name, 7, probes, np.array(curve), wrote(right), beam, targets, 0.01
    )


FAST, SLOW = [0.0, 0.96, 1.0], [0.0, 0.5, 0.96]
CLAIMS = [  # right with attention, without; their curves; beam of the second; outcomes
    (
        [10, 10],
        [10, 10],
        FAST,
        SLOW,
        None,
        [SUPPORTED, SUPPORTED, SUPPORTED, SUPPORTED],
    ),
    (
        [9, 9],
        [9, 10],
        FAST,
        FAST,
        None,
        [REFUTED, INCONCLUSIVE, INCONCLUSIVE, SUPPORTED],
    ),
    (
        [10, 10],
        [5, 5],
        SLOW,
        FAST,
        [4, 4],
        [SUPPORTED, REFUTED, REFUTED, PARTLY_SUPPORTED],
    ),
    ([10], [10], FAST, SLOW, None, [INCONCLUSIVE] * 4),
]


@pytest.mark.parametrize(
    ("attentive", "plain", "first", "second", "beam", "outcomes"), CLAIMS
)
def test_claims_follow_the_numbers(attentive, plain, first, second, beam, outcomes):
    seeds = len(plain)
    studies = [
        made("with attention", attentive, [first] * seeds),
        made("without attention", plain, [second] * seeds, beam),
    ]
    evaluated = judged.evaluate_claims(studies, 4)
    assert [claim.outcome for claim in evaluated] == outcomes
    judged.table(studies, 4).text()


def test_a_beam_that_is_better_is_no_worse():
    study = made("with attention", [7, 8, 6], [FAST] * 3, beam=[8, 9, 7])
    assert judged.no_worse([study], 4).outcome == SUPPORTED
    (case,) = judged.no_worse([study], 4).cases
    assert case.value.startswith("+10.00 [+10.00, +10.00];")


def test_who_never_gets_there_is_counted_at_the_last_step():
    never = made("without attention", [5, 5], [[0.0, 0.5, 0.94], SLOW])
    soon = made("with attention", [10, 10], [FAST, FAST])
    assert never.steps_to_goal.tolist() == [100, 100]
    assert soon.steps_to_goal.tolist() == [50, 50]
    why = judged.faster(soon, never).evidence
    assert (
        "Of 2 seeds each, 0 with attention and 1 without never reached this goal" in why
    )
    assert "measured every 50 steps" in why
    (case,) = judged.faster(soon, never).cases
    assert case.name == "without attention minus with attention"
    assert case.value.startswith("+50 ")
    late = made("with attention", [5, 5], [[0.0, 0.5, 0.94]] * 2)
    assert "2 with attention and 1 without never" in judged.faster(late, never).evidence
    assert "never" not in judged.faster(soon, soon).evidence


def test_no_worse_is_judged_on_all_models_together():
    seeds = [[FAST] * 3] * 2
    better = made("with attention", [7, 8, 6], seeds[0], beam=[8, 9, 8])
    worse = made("without attention", [7, 8, 6], seeds[1], beam=[6, 7, 4])
    claim = judged.no_worse([better, worse], 4)
    assert claim.outcome == INCONCLUSIVE
    gain = interval(100 * (better.beam_exact - better.exact), 2).text("{:+.2f}")
    assert claim.cases[0].value.startswith(f"{gain};")
    (alone,) = judged.no_worse([better], 4).cases
    text = interval([10, 10, 20]).text("{:+.2f}")
    assert alone.value.startswith(f"{text};") and text != gain


def test_what_is_no_day_is_marked():
    answers = {"with": ["2024-02-31", "2024-02-29"], "without": ["0000000000", "2024-"]}
    header, rows = judged.own_dates(["31. Februar 2024", "0"], answers)
    assert header == ["your dates", "with", "without"]
    assert rows == [
        ["31. Februar 2024", "2024-02-31 (not a day)", "0000000000 (not a day)"],
        ["0", "2024-02-29", "2024- (not a day)"],
    ]


def test_both_captions_mention_romanization():
    config = translate_dates.Config()
    for caption in (translate_dates.caption, translate_dates.attention_caption):
        assert "East Asian characters are romanized." in caption(config)


def test_what_is_wrong_is_counted():
    study = made("with attention", [10, 7], [FAST] * 2)
    header, (row,) = judged.mistakes([study])
    assert row[1:6] == ["3", "0", "100", "0", "100"]  # "2024-0--05" is no day
    assert row[6].startswith("month ") and row[6].split()[3].endswith("-")
    assert len(header) == len(row)
    _, (row,) = judged.mistakes([made("with attention", [10], [FAST])])
    assert row[1:] == ["0", "-", "-", "-", "-", "-"]


def test_the_title_of_the_maps_claims_what_holds():
    diagonal = np.eye(3, 5)[None] * 0.6 + 0.08
    maps = ["English"], ["5"], ["2"], [np.ones((1, 1))]
    title = figures.attention_title(AttentionResult(diagonal, *maps))
    assert title.startswith("Attention lies on the part of the source that is written")
    assert "68 % on the year" in title
    other = figures.attention_title(
        AttentionResult(np.roll(diagonal, 1, axis=2), *maps)
    )
    assert (
        other.startswith("Attention on the part of the source")
        and "8 % on the year" in other
    )


MISTAKES = [
    ("--attention=always", "flag --attention: expected some of with, without; got 'al"),
    ("--cell=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--cell=conv_lstm", "cell 'conv_lstm': expected one that reads vectors"),
    ("--batch_size=41", "flag --batch_size: expected at most 40, the training dates"),
    ("--date=5 mars 2024 à midi", "got 'à' in '5 mars 2024 à midi'"),
    ("--date=5 mars 2024;hello", "dates, which have digits; got 'hello'"),
    ("--date=" + "1" * 31, "expected dates of 1 to 30 characters; got 31"),
    ("--date=" + "1" * 1000, "got 1000: '111111111111...1111111111111'"),
    ("--beam=1000000", "flag --beam: expected at most 100 sequences; got 1000000"),
    ("--beam=0", "flag --beam=0: 0 is not a positive integer"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("translate_dates: ") and sentence in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"mycells.py", "__pycache__"}
