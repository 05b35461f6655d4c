"""Labels as files hold them, and the file of rows that people are asked to label."""

import json
import math
from typing import Any

# No contract has a column of that name: a leading underscore is graft's.
CHOSEN = "_chosen"
AT_RANDOM = "at random"
MOST_TELLING = "most telling"


def label_in_words(value: Any) -> Any:
    """A whole number or a truth as the text that a contract calls the label by: 0, 1, true, false.

    Some writers say 1.0 for 1 where another row has none, and NaN for none. Other values stay as they are.
    """
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    return json.dumps(value) if isinstance(value, bool | int) else value
