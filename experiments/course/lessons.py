"""The lessons of the course."""

from typing import NamedTuple


class Lesson(NamedTuple):
    """An experiment of the course.

    Attributes:
        experiment: Name of the experiment.
        teaches: The claim of the course, in a few words.
        data: True if the lesson reads files in `--data_dir`, which its `load(config)`
            checks.
    """

    experiment: str
    teaches: str
    data: bool = False


LESSONS = {
    "Sequences": (
        Lesson("vanishing", "Gradients vanish, in a recurrent net and in a deep one"),
        Lesson("gradient_flow", "Cells differ in how far back their gradient reaches"),
        Lesson("gates", "The gates of an LSTM keep what it has read"),
        Lesson("lstm_vs_gru", "The GRU is simpler, faster, and no worse"),
        Lesson("classify_sequences", "Many to one: a class for a sequence"),
        Lesson("language_model", "Many to many, aligned: the next character"),
        Lesson("draw_digits", "One to many: a picture from a label"),
        Lesson("translate_dates", "Many to many, unaligned: encoder and decoder"),
        Lesson("tag_sequences", "Both directions: a label that needs both sides"),
        Lesson("information", "What each step knows, forward, backward, and both"),
        Lesson("music", "Polyphonic music: many keys at a time", data=True),
    ),
    "Images": (
        Lesson("edges", "A convolution sees edges, and learns to find them"),
        Lesson("image_classification", "Convolution, pooling, flatten, dense"),
        Lesson("autoencoder", "Upsampling, and a digit in a few numbers"),
        Lesson("hyperparameters", "A grid search over learning rates and filters"),
    ),
}
ALL = [lesson for part in LESSONS.values() for lesson in part]
