"""The one exception that a user may cause: its text is a sentence with the wrong value and the way out."""


class InputError(ValueError):
    """Bad input from outside (a file, a sheet, a request); programs print it and exit with code 2."""
