"""Piano rolls as MIDI files, and what a piano's keys are called."""

import mido
import numpy as np
from jaxtyping import Bool

A0 = 21  # the lowest key of a piano, as MIDI counts notes
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
TICKS = 480  # of a quarter note, a step
TEMPO = 625_000  # microseconds a quarter note: 96 a minute
ORGAN, VELOCITY = 19, 64  # General MIDI's church organ, which holds its notes


def write(roll: Bool[np.ndarray, "time 88"]) -> mido.MidiFile:
    """A piano roll as a MIDI file, a quarter note a step.

    A key that sounds at consecutive steps is one note: a roll does not tell a note that
    is held from one that is struck again.

    Args:
        roll: Which keys sound at each step; key 0 is A0.

    Returns:
        One track; its `save(path)` writes it.

    Example:
        >>> print(write(np.eye(1, 88, 39, dtype=bool)).tracks[0][2])
        note_on channel=0 note=60 velocity=64 time=0
    """
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=TEMPO),
            mido.Message("program_change", program=ORGAN),
        ]
    )
    at = 0  # the step of the last message
    changes = np.diff(np.pad(roll.astype(int), ((1, 1), (0, 0))), axis=0)
    for step, change in enumerate(changes):
        for kind, sign in (("note_off", -1), ("note_on", 1)):
            for key in np.flatnonzero(change == sign).tolist():
                wait = (step - at) * TICKS
                track.append(
                    mido.Message(kind, note=A0 + key, velocity=VELOCITY, time=wait)
                )
                at = step
    rest = (len(roll) - at) * TICKS
    track.append(mido.MetaMessage("end_of_track", time=rest))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track])


def note_name(key: int) -> str:
    """What a key of a piano is called.

    Example:
        >>> note_name(0), note_name(39), note_name(87)
        ('A0', 'C4', 'C8')
    """
    octave, note = divmod(A0 + key, 12)
    return f"{NAMES[note]}{octave - 1}"
