"""What is wrong with a data set, in one sentence."""


class DataError(Exception):
    """A data set that cannot be read, or that is not what it should be.

    The message is one line for the user: it names the file, and says what was expected,
    what came and what to do.
    """
