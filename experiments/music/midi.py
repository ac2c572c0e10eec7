"""Piano rolls as MIDI files, and the names of a piano's keys."""

import mido
import numpy as np
from jaxtyping import Bool

A0 = 21  # MIDI note of the lowest key of a piano
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
TICKS = 480  # per quarter note, which is one step
TEMPO = 625_000  # microseconds per quarter note: 96 per minute
ORGAN, VELOCITY = 19, 64  # General MIDI's church organ, which holds its notes


def write(roll: Bool[np.ndarray, "time 88"]) -> mido.MidiFile:
    """Write a piano roll as a MIDI file with one quarter note per step.

    A key that sounds at consecutive steps becomes one note: a roll does not distinguish
    a held note from a repeated one.

    Args:
        roll: Keys that sound at each step, [time, 88]; key 0 is A0.

    Returns:
        A MIDI file with one track; `save(path)` writes it to disk.

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
    last_step = 0  # step of the last message
    changes = np.diff(np.pad(roll.astype(int), ((1, 1), (0, 0))), axis=0)
    for step, change in enumerate(changes):
        for kind, sign in (("note_off", -1), ("note_on", 1)):
            for key in np.flatnonzero(change == sign).tolist():
                wait = (step - last_step) * TICKS
                track.append(
                    mido.Message(kind, note=A0 + key, velocity=VELOCITY, time=wait)
                )
                last_step = step
    rest = (len(roll) - last_step) * TICKS
    track.append(mido.MetaMessage("end_of_track", time=rest))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track])


def note_name(key: int) -> str:
    """Name of a piano's key.

    Example:
        >>> note_name(0), note_name(39), note_name(87)
        ('A0', 'C4', 'C8')
    """
    octave, note = divmod(A0 + key, 12)
    return f"{NAMES[note]}{octave - 1}"
