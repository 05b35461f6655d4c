"""The one error that is the user's to mend."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message says what was found, where (file, row or key), what was allowed and what to do.
    The command line prints it without a traceback and exits with 2.
    """


def complain(headline: str, problems: list[str], remedy: str = "") -> InputError:
    """One InputError that shows all problems together, one a line."""
    lines = [headline, *(f"  - {problem}" for problem in problems)]
    return InputError("\n".join([*lines, remedy] if remedy else lines))
