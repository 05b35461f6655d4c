"""Problems are shown together."""

import pytest

from data_contracts.errors import InputError, complain


def test_all_problems_stand_below_the_headline_and_above_the_remedy() -> None:
    assert str(complain("a.csv is wrong", ["no header", "no rows"], "Fill it.")) == (
        "a.csv is wrong\n  - no header\n  - no rows\nFill it."
    )
    assert str(complain("a.csv is wrong", ["no rows"])) == "a.csv is wrong\n  - no rows"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("postgresql://ana:s3cr:et@host:5432/db is gone", "postgresql://***@host:5432/db is gone"),
        (
            "https://host/a.csv?X-Amz-Credential=AK%2F1&X-Amz-Date=1&X-Amz-Signature=ab12: 403",
            "https://host/a.csv?X-Amz-Credential=***&X-Amz-Date=1&X-Amz-Signature=*** 403",
        ),
        ("https://host/b?sv=1&sig=a%3D&page=2", "https://host/b?sv=1&sig=***&page=2"),
        (
            "https://ghp_abc@host/x and db://h/d?user=a&password=b",
            "https://***@host/x and db://h/d?user=a&password=***",
        ),
        ("https://host/x?api_key=1&apikey=2&monkey=banana", "https://host/x?api_key=***&apikey=***&monkey=banana"),
        ("write to ana@example.com: s3://bucket/key=1/a.csv", "write to ana@example.com: s3://bucket/key=1/a.csv"),
    ],
)
def test_secrets_of_an_address_are_left_out(given: str, told: str) -> None:
    assert str(InputError(given)) == told
