"""The work: synthetic rows with a known number of defects, the contract, and what every contestant has to do."""

import json
import random
from pathlib import Path

LABELS = [f"intent_{number:02}" for number in range(50)]
SHARES = {"validation": 0.1, "test": 0.1}
WORD = r"\w\w"
DAMAGE = "[\ufffd\u0001-\u0008]"
MAX_TOKENS = 64
SHORTEST, LONGEST = 3, 400
BAD_EVERY = 1000
TEXT = (
    "please could you tell me when the parcel with my new kettle will arrive because I have waited for it since last "
    "week and nobody answers the phone in your shop or writes back to the letters that I sent about the invoice of "
    "that toaster which leaks and smells when it gets hot so that I want the money back or another one by Monday"
)
WORDS = TEXT.split()


def write_rows(path: Path, rows: int, seed: int = 7) -> None:
    """JSON Lines of 8 to 18 words a text; one row in a thousand breaks a rule, in turn one of four."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            words = [chance.choice(WORDS) for _ in range(chance.randint(8, 18))]
            row = {
                "text": f"{' '.join(words)} {number}",
                "label": chance.choice(LABELS),
                "score": round(chance.random(), 3),
                "customer": f"c{number % 997}",
            }
            if number % BAD_EVERY == 0:
                row |= ({"label": "nonsense"}, {"score": 1.5}, {"text": "\ufffd\ufffd damaged text"}, {"text": "?"})[
                    number // BAD_EVERY % 4
                ]
            file.write(json.dumps(row) + "\n")


def contract_text() -> str:
    """The rules as a contract; texts are checked by the same expressions as the peers', and by nothing else."""
    custom = {"engine": "greatExpectations", "type": "custom"}
    matches = {"type": "expect_column_values_to_match_regex", "kwargs": {"regex": WORD}}
    undamaged = {"type": "expect_column_values_to_not_match_regex", "kwargs": {"regex": DAMAGE}}
    text = {
        "name": "text",
        "logicalType": "string",
        "required": True,
        "logicalTypeOptions": {"minLength": SHORTEST, "maxLength": LONGEST},
        "quality": [{**custom, "implementation": matches}, {**custom, "implementation": undamaged}],
        "customProperties": [
            {"property": "role", "value": "text"},
            {"property": "encodingDamage", "value": "allow"},
            {"property": "conflictingLabels", "value": "allow"},
            {"property": "duplicates", "value": {"across": "quarantine"}},
        ],
    }
    label = {
        "name": "label",
        "logicalType": "string",
        "required": True,
        "customProperties": [{"property": "role", "value": "label"}, {"property": "labels", "value": LABELS}],
    }
    score = {
        "name": "score",
        "logicalType": "number",
        "required": True,
        "logicalTypeOptions": {"minimum": 0, "maximum": 1},
    }
    content = {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "benchmark",
        "name": "benchmark",
        "version": "1.0.0",
        "schema": [{"name": "rows", "properties": [text, label, score, {"name": "customer", "logicalType": "string"}]}],
        "customProperties": [{"property": "quarantineBudget", "value": 0.01}],
    }
    # JSON is YAML, too.
    return json.dumps(content)
