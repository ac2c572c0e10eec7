"""The error of data sets that cannot be read."""


class DataError(Exception):
    """A data set cannot be read, or is not as expected.

    The message is one line for the user. It names the file, the expected content, the
    actual content, and a remedy.
    """
