"""Language models: what is measured, the baselines, and the command."""

import math
import sys
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

import nets
from experiments.language_model import (
    characters,
    claims,
    figures,
    ngrams,
)
from experiments.language_model import (
    experiment as language_model,
)
from experiments.language_model.characters import NetworkResult, Sample
from experiments.language_model.ngrams import NgramResult
from nets.models import SequenceTagger
from train.data import text

TINY = ["--features=4", "--length=8", "--batch_size=4", "--steps=60", "--seeds=0,1"]
TINY += ["--learning_rate=0.1", "--cells=gru", "--text_file=cycle.txt"]
CYCLE = "ab\ncd "  # each character leads to the next, nine times in ten


def cycle(count):
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(count) < 0.9, 1, rng.integers(0, len(CYCLE), count))
    return "".join(CYCLE[place] for place in np.cumsum(steps) % len(CYCLE))


@pytest.fixture
def run(launched, tmp_path):
    (tmp_path / "cycle.txt").write_text(cycle(3000))
    (tmp_path / "short.txt").write_text("ab" * 40)
    (tmp_path / "one.txt").write_text("a" * 3000)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9" * 1000)
    (tmp_path / "folder").mkdir()
    return partial(launched, language_model)


@pytest.mark.slow
def test_it_counts_learns_and_writes(run, tmp_path):
    flags = ["--temperatures=0,1", "--sample_length=20", "--prompt=ab", "--results=out"]
    code, out, err = run(*TINY, *flags)
    assert (code, err) == (0, "")  # no bar where there is no terminal
    folder = tmp_path / "out"
    names = {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "language_model.png",
        "report.html",
    }
    assert files(folder) == names
    assert (folder / "language_model.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "<h1>How well does a recurrent net predict the next character" in page
    assert page.count("<img ") == 1 and "predicts the next character" in page
    assert "cycle.txt: 3,000 characters, 6 distinct" in page

    counted = {row["order"]: row["nats"] for row in rows(folder, "counted")}
    assert list(counted) == [1, 2, 3, 4, 5, 6]
    train, test = cycle(3000)[:2700], cycle(3000)[2701:]
    kinds = len(CYCLE)
    share = {c: (train.count(c) + kinds / kinds) / (2700 + kinds) for c in CYCLE}
    by_hand = -sum(math.log(share[c]) for c in test) / len(test)
    assert counted[1] == pytest.approx(by_hand, rel=1e-6)

    held_out = rows(folder, "held_out")
    assert [row["seed"] for row in held_out] == [0, 1]
    for row in held_out:
        # A step is predicted right with 0.917: it has an entropy of 0.42 nats.
        assert 0.3 < row["nats"] < 1 < counted[1]
        assert row["bits"] == pytest.approx(row["nats"] / math.log(2))
        assert row["perplexity"] == pytest.approx(math.exp(row["nats"]))
        assert len(row["nats_by_context"]) == 16  # twice as far as in training
        mean = np.mean(row["nats_by_context"])  # nearly all of it, from fresh starts
        assert row["nats"] == pytest.approx(mean, abs=0.1)
    learning = rows(folder, "learning")
    assert learning[0]["steps"] == [*range(0, 60, 3), 60]
    assert learning[0]["nats"][0] > counted[1] > learning[0]["nats"][-1]
    training = [row["loss"] for row in rows(folder, "training") if row["seed"] == 0]
    assert training[-1] == pytest.approx(held_out[0]["nats"], abs=0.2)

    greedy, drawn = rows(folder, "sample")
    assert (greedy["temperature"], drawn["temperature"]) == (0, 1)
    assert greedy["prompt"] == "ab"
    assert greedy["text"] == (CYCLE * 4)[2:22] != drawn["text"]
    assert len(drawn["text"]) == 20 and set(drawn["text"]) <= set(CYCLE)
    assert "gru at temperature 0\nafter 'ab'" in out
    outcomes = {row["text"]: row["outcome"] for row in rows(folder, "claim")}
    assert [claim.split(":")[0] for claim in outcomes] == [
        "Context predicts the next character",
        "A network remembers more than the last character",
        "A network is better than every n-gram model of up to 6 characters",
        "A network uses context from more than eight characters back",
    ]


def tagger(symbols=4, cell=None):
    cell = cell or nets.lstm()
    model: Any = SequenceTagger(cell, 3, classes=symbols, vocabulary=symbols)
    params = characters.start(model, [5])
    return model, jax.tree.map(lambda leaf: 3 * leaf[0], params)


TEXT = jax.random.randint(jax.random.key(0), (14,), 0, 4)


@pytest.mark.slow
@pytest.mark.parametrize("segment", [5, 13, 50])
def test_the_state_is_carried_through_all_of_the_text(segment, monkeypatch):
    monkeypatch.setattr(characters, "SEGMENT", segment)
    model, params = tagger()
    _, logits = model.apply({"params": params}, TEXT[:-1])
    expected = -jax.nn.log_softmax(logits)[jnp.arange(13), TEXT[1:]]
    losses = characters.carried_losses(model, params, TEXT)
    chex.assert_trees_all_close(losses, expected, rtol=1e-5)
    # A window that begins where the text begins has the same state; another has not.
    read = characters.windows(TEXT, jnp.array([0, 4]), 6)
    fresh = characters.window_losses(model, params, read)
    chex.assert_trees_all_close(fresh[0], expected[:6], rtol=1e-5)
    assert np.abs(fresh[1] - expected[4:10]).min() > 1e-5


@pytest.mark.slow
def test_near_and_whole_contexts_are_measured_on_the_same_characters(monkeypatch):
    monkeypatch.setattr(characters, "NEAR", 3)
    model, params = tagger(cell=nets.gru())  # such a one forgets slowly
    whole = jnp.concatenate([TEXT, TEXT[3:11]])  # 22 characters
    _, measure = characters.measures(model, whole, length=10)
    measured = measure(jax.tree.map(lambda leaf: leaf[None], params))
    _, carried, by_place, further = jax.tree.map(lambda leaf: leaf[0], measured)
    each = characters.carried_losses(model, params, whole)
    assert carried == pytest.approx(float(each.mean()), rel=1e-5)
    assert by_place.shape == (20,)  # twice as long as in training
    near = []
    for place in range(3, 22):  # each from a fresh start three characters before
        _, logits = model.apply({"params": params}, whole[place - 3 : place])
        near.append(-jax.nn.log_softmax(logits[-1])[whole[place]])
    expected = float(np.mean(near) - each[2:21].mean())
    assert abs(expected) > 1e-2
    assert further == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_net_continues_the_whole_prompt():
    model, params = tagger()
    key, cold = jax.random.key(0), jnp.zeros(1)
    for prompt in (TEXT[:1], TEXT[:6]):
        (text,) = characters.continue_prompt(model, params, prompt, 5, key, cold)
        read = prompt
        for _ in range(5):
            _, logits = model.apply({"params": params}, read)
            read = jnp.append(read, logits[-1].argmax())
        assert text.tolist() == read[len(prompt) :].tolist()


@pytest.mark.slow
def test_symbols_begin_with_variance_1_and_seeds_differ():
    model, _ = tagger(symbols=700)
    vectors = characters.start(model, [5, 6])["embed"]["embedding"]
    assert vectors.shape == (2, 700, 3)
    # The deviation of the variance of 2,100 normal numbers is 0.03.
    np.testing.assert_allclose(np.var(vectors, axis=(1, 2)), 1, atol=0.15)
    alone = characters.start(model, [6])["embed"]["embedding"]
    chex.assert_trees_all_close(vectors[1], alone[0], rtol=1e-6)


def smoothed(train, context, symbol, symbols):
    """p(symbol | context), as the recursion has it."""
    if context is None:
        return 1 / symbols
    n = len(context)
    follow = [
        train[i + n]
        for i in range(len(train) - n)
        if tuple(train[i : i + n]) == tuple(context)
    ]
    lower = smoothed(train, context[1:] if n else None, symbol, symbols)
    if not follow:
        return lower
    kinds = len(set(follow))
    return (follow.count(symbol) + kinds * lower) / (len(follow) + kinds)


def test_ngrams_follow_the_recursion():
    whole = np.random.default_rng(1).integers(0, 3, 60)
    whole[-3] = 3  # a symbol that the training text does not have
    losses = ngrams.losses(whole[:45], whole[45:], symbols=4, most=4)
    assert losses.shape == (4, 14)
    for n in range(1, 5):
        for i, nats in enumerate(losses[n - 1]):
            at = 46 + i
            context = tuple(whole[at - n + 1 : at])
            p = smoothed(whole[:45].tolist(), context, whole[at], 4)
            assert nats == pytest.approx(-math.log(p))
            total = [smoothed(whole[:45].tolist(), context, b, 4) for b in range(4)]
            assert sum(total) == pytest.approx(1)


def learned(cell, nats, further=0.1):
    by_context = np.full((len(nats), 128), 1.0)
    by_context[:, :10] = 1.5
    by_context += 0.001 * np.arange(len(nats))[:, None]
    more = further + 0.01 * np.arange(len(nats))
    curve, steps = np.array([[4.0, 2.0]] * len(nats)), np.array([0, 10])
    return NetworkResult(
        cell, 100, np.array(nats), by_context, more, steps, curve, 0.001
    )


COUNTED = [NgramResult(n, nats) for n, nats in enumerate([3.0, 2.0, 1.5, 1.6], 1)]
GOOD, FAIR = [1.0, 1.01, 1.02], [1.8, 1.81, 1.82]
YES, PART, NO, INCONCLUSIVE = "supported", "partly supported", "refuted", "inconclusive"
CLAIMS = [
    ([learned("gru", GOOD)], [YES] * 4),
    ([learned("gru", FAIR)], [YES, YES, NO, YES]),
    ([learned("gru", GOOD, further=-0.01)], [YES, YES, YES, INCONCLUSIVE]),
    ([learned("gru", GOOD[:1])], [INCONCLUSIVE] * 4),
    ([learned("elman", FAIR, -0.1), learned("gru", GOOD)], [YES, YES, PART, YES, PART]),
    ([learned("elman", GOOD), learned("lstm", FAIR)], [YES, YES, PART, NO, YES]),
]


@pytest.mark.parametrize(("networks", "outcomes"), CLAIMS)
def test_the_claims_are_drawn_from_the_numbers(networks, outcomes):
    results = claims.evaluate_claims(COUNTED, networks)
    assert [claim.outcome for claim in results] == outcomes


def test_a_claim_has_the_unit_bits():
    first = claims.evaluate_claims(COUNTED, [learned("gru", [1.0])])[0]
    assert first.evidence == "Bits per character, unigram minus the network."
    assert first.cases[0][:2] == ("gru", "+2.885")  # 2 / ln 2


TITLES = [
    (
        [learned("gru", GOOD)],
        "saves gru 2.9 of 4.3 bits per character:\nmore than any n-gram model",
    ),
    ([learned("gru", FAIR)], "more than a bigram model saves, not more than a 4-gram"),
    ([learned("gru", [1.0, 1.99])], "No network reliably predicts better than the ch"),
    ([learned("gru", FAIR), learned("lstm", GOOD)], "Context saves lstm"),
    ([learned("gru", [1.0, 3.1])], "No network reliably predicts better than the ch"),
]


@pytest.mark.parametrize(("networks", "words"), TITLES)
def test_the_title_claims_what_holds_for_every_seed(networks, words):
    assert words in claims.title(COUNTED, networks)
    figures.draw(COUNTED, networks, 64, "caption")


def test_the_table_has_one_row_per_model():
    table = claims.table(COUNTED, [learned("gru", GOOD)], 64)
    names = ["unigram", "bigram", "trigram", "4-gram", "gru"]
    assert [row[0] for row in table.rows] == names
    assert table.rows[0][1:4] == ["3.000", "4.328", "20.086"]
    # Ten places of 1.5 and 54 of 1.0, and a thousandth more from seed to seed.
    assert table.rows[-1][4] == "1.079 ± 0.001"


def test_samples_keep_their_lines():
    drawn = [Sample("gru", 0.5, "a", "b\n  c " + "d" * 90), Sample("gru", 1.0, "a", "")]
    tables = claims.sample_tables(drawn)
    assert list(tables) == ["gru at temperature 0.5", "gru at temperature 1"]
    first = [row[0] for row in tables["gru at temperature 0.5"].rows]
    assert first == ["b", "\xa0\xa0c " + "d" * 78, "d" * 12]


def test_the_flags_of_the_docstring_are_flags():
    config = language_model.Config()
    doc = sys.modules["experiments.language_model"].__doc__ or ""
    flags = [word for word in doc.split() if word.startswith("--")]
    assert flags and all(hasattr(config, f[2:].split("=")[0]) for f in flags)


MISTAKES = [
    ("--text_file=none.txt", "none.txt: the file does not exist; name a text file in"),
    ("--text_file=folder", "folder: expected a file; got a folder"),
    ("--text_file=latin.txt", "latin.txt: expected text in UTF-8; got the byte 233 at"),
    ("--text_file=one.txt", "at least 2 distinct characters; got 1"),
    ("--text_file=short.txt", "at most 7, as the held-out tenth of the text has 8"),
    ("--length=300", "flag --length: expected at most 299, as the held-out tenth"),
    ("--batch_size=2693", "flag --batch_size: expected at most 2692, the training"),
    (
        "--prompt=abxy",
        "flag --prompt: expected only characters of the vocabulary; got 'xy'",
    ),
    ("--temperatures=1,-1", "finite numbers of at least 0; got [1.0, -1.0]"),
    ("--temperatures=nan", "flag --temperatures: expected finite numbers; got nan"),
    ("--temperatures=hot", "flag --temperatures: expected numbers separated by commas"),
    ("--cells=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--steps=0", "flag --steps=0: 0 is not a positive integer"),
    ("--seeds=-1", "flag --seeds: expected integers from 0 to 2^32 - 1; got [-1]"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    before = set(tmp_path.iterdir())
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("language_model: ") and sentence in err
    assert err.count("\n") == 1
    assert set(tmp_path.iterdir()) <= before | {tmp_path / "__pycache__"}


def test_a_prompt_may_be_the_shortest(tmp_path):
    config = language_model.Config(prompt="b")
    assert language_model.prompt_of(config, np.arange(3), "ab").tolist() == [1]
    first = language_model.prompt_of(language_model.Config(), np.arange(99), "ab")
    assert first.tolist() == list(range(32))
    assert text.decode(np.array([1, 0]), "ab") == "ba"
