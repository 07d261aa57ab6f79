"""What crnnlib raises: a message names the value and what is wrong with it or was expected."""

__all__ = ["CRNNError", "DataError", "ParameterError"]


class CRNNError(Exception):
    """Anything that crnnlib reports on purpose; the command line prints it in one line and exits with 2.

    Examples
    --------
    >>> issubclass(DataError, CRNNError)
    True
    """


class ParameterError(CRNNError, ValueError):
    """An argument is outside what the function accepts.

    Examples
    --------
    >>> raise ParameterError("clip_s=0.0: expected a positive length in seconds, e.g. 3.0")
    Traceback (most recent call last):
        ...
    crnnlib.errors.ParameterError: clip_s=0.0: expected a positive length in seconds, e.g. 3.0
    """


class DataError(CRNNError):
    """Music, a table or a record on disk is missing, damaged, or cannot carry what was asked of it.

    Examples
    --------
    >>> raise DataError("/music: no audio files below it; expected artist/album/song.mp3")
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: /music: no audio files below it; expected artist/album/song.mp3
    """
