"""The one error that is the user's to mend."""

import re

# In an address: `user:password@`, or a token, before the host, and what a signed query proves its right with.
SECRETS = re.compile(
    r"(?<=://)[^\s/@]+(?=@)"
    r"|(?<=[?&])([\w-]*(?:signature|credential|password|token|secret|(?:\b|[-_]|access|api)key|(?:\b|[-_])sig)=)[^\s&'\"]*",
    re.IGNORECASE,
)


class InputError(Exception):
    """Something the user gave cannot be used.

    The message says what was found, where (file, row or key), what was allowed and what to do.
    The command line prints it without a traceback and exits with 2. What an address holds of secrets is left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(SECRETS.sub(lambda found: f"{found.group(1) or ''}***", message))


def complain(headline: str, problems: list[str], remedy: str = "") -> InputError:
    """One InputError that shows all problems together, one a line."""
    lines = [headline, *(f"  - {problem}" for problem in problems)]
    return InputError("\n".join([*lines, remedy] if remedy else lines))
