"""Problems are shown together."""

from data_contracts.errors import complain


def test_all_problems_stand_below_the_headline_and_above_the_remedy() -> None:
    assert str(complain("a.csv is wrong", ["no header", "no rows"], "Fill it.")) == (
        "a.csv is wrong\n  - no header\n  - no rows\nFill it."
    )
    assert str(complain("a.csv is wrong", ["no rows"])) == "a.csv is wrong\n  - no rows"
