"""A file of texts in, the same rows with answers out."""

import json
import resource
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from data_contracts.cleaning import Cleaning
from data_contracts.errors import InputError
from tasks.modeling.answering import answer_rows
from tasks.modeling.entities import entities_of
from tasks.modeling.heads import AnyHead
from tasks.modeling.limits import TokenLimit
from tasks.modeling.network import load_network, new_network, save_network
from tasks.modeling.words import SHAPES

TEXTS = ["Where is my parcel to Đà Nẵng?", "money back 🙂now", "thanks"]


def write(path: Path, *lines: str) -> str:
    """A file of those lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def row(**values: Any) -> str:
    """One line as people's tools write it: without escapes."""
    return json.dumps(values, ensure_ascii=False)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_entities_run_from_their_first_word_to_their_last() -> None:
    text = "from  Da Nang to Oslo, Oslo"
    spans = [(0, 4), (6, 8), (9, 13), (14, 16), (17, 21), (21, 22), (23, 27)]
    tags = ["O", "B-PLACE", "I-PLACE", "O", "B-PLACE", "O", "B-CITY"]
    assert entities_of(tags, spans, text) == [
        {"kind": "PLACE", "text": "Da Nang", "start": 6, "end": 13},
        {"kind": "PLACE", "text": "Oslo", "start": 17, "end": 21},
        {"kind": "CITY", "text": "Oslo", "start": 23, "end": 27},
    ]


def test_neighbouring_entities_stay_apart() -> None:
    found = entities_of(["B-PLACE", "B-PLACE"], [(0, 4), (5, 9)], "Oslo Lima")
    assert [entity["text"] for entity in found] == ["Oslo", "Lima"]


def test_no_tags_are_no_entities() -> None:
    assert entities_of([], [], "") == []
    assert entities_of(["O"], [(0, 2)], "ok") == []


def test_each_row_keeps_what_it_had_and_gets_every_tasks_answer(saved_network: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", *(row(body=text, number=n) for n, text in enumerate(TEXTS)))
    assert answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "body") == 3
    found = read(tmp_path / "out.jsonl")
    assert [(line["number"], line["body"]) for line in found] == list(enumerate(TEXTS))
    for line in found:
        answers = line["predictions"]
        assert set(answers) == {"intent", "places", "urgency"}
        assert answers["intent"]["label"] in ("refund", "delivery", "praise")
        assert 1 / 3 <= answers["intent"]["confidence"] <= 1
        assert isinstance(answers["urgency"], float)
        for entity in answers["places"]:
            assert line["body"][entity["start"] : entity["end"]] == entity["text"]


def test_letters_are_written_as_they_are(saved_network: Path, tmp_path: Path) -> None:
    answer_rows(saved_network, write(tmp_path / "in.jsonl", row(text=TEXTS[0])), str(tmp_path / "out.jsonl"), "text")
    assert "Đà Nẵng" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")


def test_a_text_is_cleaned_as_the_models_were_and_positions_are_those_in_the_cleaned_one(
    saved_network: Path, tmp_path: Path
) -> None:
    clean = "Where is my parcel to Đà Nẵng?"
    dirty = "<p>Where  is my parcel to &#272;à <b>Nẵng</b>?</p>"
    source = write(tmp_path / "in.jsonl", row(body=dirty, number=1), row(body=clean, number=2))
    answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "body", Cleaning(markup=True, whitespace=True))
    first, second = read(tmp_path / "out.jsonl")
    assert (first["body"], first["cleaned_body"]) == (dirty, clean)
    assert second == {"body": clean, "number": 2, "predictions": first["predictions"]}
    answer_rows(saved_network, source, str(tmp_path / "as_is.jsonl"), "body")
    unclean, same = read(tmp_path / "as_is.jsonl")
    assert "cleaned_body" not in unclean
    assert unclean["predictions"] != first["predictions"]
    assert same == second


def test_a_text_of_which_cleaning_leaves_nothing_is_named(saved_network: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", row(text="good"), "", row(text="<br/> <hr>"))
    with pytest.raises(InputError, match=r"in\.jsonl, line 3: nothing is left of 'text'.*'<br/> <hr>'"):
        answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "text", Cleaning(markup=True))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_model_that_reads_windows_finds_what_stands_at_the_end_of_a_long_text(
    saved_network: Path, tmp_path: Path
) -> None:
    network, _ = load_network(saved_network)
    linear = network.layers["places"][1]  # type: ignore[index]
    torch.nn.init.zeros_(linear.weight)
    # The shape `digits` decides, which the last columns of the weights are for.
    linear.weight.data[1, 32 + SHAPES.index("digits")] = 9.0
    linear.bias.data = torch.tensor([3.0, 0.0, 0.0])
    text = " ".join(["lamp"] * 40) + " 4711"
    source = write(tmp_path / "in.jsonl", row(text=text), row(text="lamp 12"))
    found = {}
    for beyond in ("cut", "windows"):
        (tmp_path / beyond).mkdir()
        limit = TokenLimit.model_validate({"max_tokens": 16, "beyond": beyond, "window_overlap": 4})
        save_network(network, saved_network / "encoder", limit, tmp_path / beyond)
        answer_rows(tmp_path / beyond, source, str(tmp_path / "out.jsonl"), "text")
        found[beyond] = [line["predictions"]["places"] for line in read(tmp_path / "out.jsonl")]
    entity = {"kind": "PLACE", "text": "4711", "start": 200, "end": 204}
    short = [{"kind": "PLACE", "text": "12", "start": 5, "end": 7}]
    assert found == {"cut": [[], short], "windows": [[entity], short]}


def test_a_row_with_a_second_text_is_read_and_cleaned_as_a_pair_and_one_without_as_one_text(
    saved_network: Path, tmp_path: Path
) -> None:
    rows = [{"text": "Where ?", "body": "in  Oslo"}, {"text": "Where ?"}, {"text": "Where ?", "body": None}]
    source = write(tmp_path / "in.jsonl", *(row(**values) for values in rows))
    answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "text", Cleaning(whitespace=True), "body")
    pair, alone, null = read(tmp_path / "out.jsonl")
    assert (pair["body"], pair["cleaned_body"]) == ("in  Oslo", "in Oslo")
    assert "cleaned_body" not in alone
    assert alone["predictions"] == null["predictions"] != pair["predictions"]
    answer_rows(saved_network, source, str(tmp_path / "alone.jsonl"), "text")
    assert [line["predictions"] for line in read(tmp_path / "alone.jsonl")] == [alone["predictions"]] * 3


@pytest.mark.parametrize("second", ["  ", 7, ["Oslo"]])
def test_a_second_text_that_is_none_is_named_by_line(saved_network: Path, tmp_path: Path, second: Any) -> None:
    source = write(tmp_path / "in.jsonl", row(text="good"), row(text="good", body=second))
    with pytest.raises(InputError, match=r"in\.jsonl, line 2: expected text in 'body', or null"):
        answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "text", pair_column="body")


def test_a_first_text_that_leaves_no_room_for_the_second_is_named_by_line(saved_network: Path, tmp_path: Path) -> None:
    network, _ = load_network(saved_network)
    (tmp_path / "model").mkdir()
    limit = TokenLimit(max_tokens=16, beyond="windows", window_overlap=4)
    save_network(network, saved_network / "encoder", limit, tmp_path / "model")
    long = " ".join(["lamp"] * 12)
    source = write(tmp_path / "in.jsonl", row(text="lamp", body=long), "", row(text=long, body=long))
    with pytest.raises(InputError, match=r"in\.jsonl, line 3: the first text .* take 15 of 16 tokens"):
        answer_rows(tmp_path / "model", source, str(tmp_path / "out.jsonl"), "text", pair_column="body")


def test_a_model_without_a_tagger_answers(tiny_encoder: Path, heads: dict[str, AnyHead], tmp_path: Path) -> None:
    chosen = {task: heads[task] for task in ("intent", "urgency")}
    (tmp_path / "model").mkdir()
    save_network(new_network(tiny_encoder, chosen), tiny_encoder, TokenLimit(max_tokens=16), tmp_path / "model")
    source = write(tmp_path / "in.jsonl", row(text="thanks"))
    assert answer_rows(tmp_path / "model", source, str(tmp_path / "out.jsonl"), "text") == 1
    assert set(read(tmp_path / "out.jsonl")[0]["predictions"]) == {"intent", "urgency"}


def test_an_output_may_lie_at_any_address(saved_network: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", row(text="thanks"))
    assert answer_rows(saved_network, source, "memory://answers/out.jsonl", "text") == 1
    with fsspec.open("memory://answers/out.jsonl", "rt", encoding="utf-8") as file:
        assert set(json.loads(file.read())["predictions"]) == {"intent", "places", "urgency"}


def test_a_byte_order_mark_and_line_separators_inside_texts_are_no_obstacle(
    saved_network: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.jsonl"
    texts = ["first\u2028second", "third\x85fourth"]
    source.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(row(text=text) for text in texts).encode())
    assert answer_rows(saved_network, str(source), str(tmp_path / "out.jsonl"), "text") == 2
    assert [line["text"] for line in read(tmp_path / "out.jsonl")] == texts


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"text": "cut o', "not JSON: .* Give JSON Lines, an object a line"),
        ('["a list"]', "expected an object, found"),
        (f'{{"text": {"[" * 100_000}', "nested too deeply"),
        ('{"body": "other name"}', "expected an object with text in 'text'"),
        ('{"text": "  "}', "expected an object with text in 'text'"),
        ('{"text": 7}', "expected an object with text in 'text'"),
        (r'{"text": "half an emoji \ud83d"}', "half of a character"),
        (r'{"text": "fine", "author": "\ud83d"}', "half of a character"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    saved_network: Path, tmp_path: Path, bad: str, message: str
) -> None:
    source = write(tmp_path / "in.jsonl", row(text="good"), "", bad, row(text="good"))
    with pytest.raises(InputError, match=rf"in\.jsonl, line 3: {message}"):
        answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "text")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_failure_leaves_an_earlier_output_as_it_was(saved_network: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("earlier\n")
    with pytest.raises(InputError):
        answer_rows(saved_network, write(tmp_path / "in.jsonl", "{"), str(output), "text")
    assert output.read_text() == "earlier\n"


def test_a_new_output_replaces_an_earlier_one_and_leaves_no_draft(saved_network: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("earlier\n")
    answer_rows(saved_network, write(tmp_path / "in.jsonl", row(text="thanks")), str(output), "text")
    assert [line["text"] for line in read(output)] == ["thanks"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_disk_that_is_full_half_way_leaves_an_earlier_output_as_it_was(saved_network: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("earlier\n")
    source = write(tmp_path / "in.jsonl", *[row(text="thanks")] * 9)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(InputError, match=r"out\.jsonl cannot be written: .*File too large"):
            answer_rows(saved_network, source, str(output), "text")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert output.read_text() == "earlier\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_an_output_that_is_a_folder_is_refused(saved_network: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(InputError, match=r"out\.jsonl cannot be written"):
        answer_rows(
            saved_network, write(tmp_path / "in.jsonl", row(text="thanks")), str(tmp_path / "out.jsonl"), "text"
        )


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_rows_is_refused(saved_network: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    with pytest.raises(InputError, match="holds no rows"):
        answer_rows(saved_network, str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), "text")


def test_a_file_that_cannot_be_read_is_named(saved_network: Path, tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"text": "café"}'.encode("latin-1"))
    for name in ("absent.jsonl", "latin.jsonl"):
        with pytest.raises(InputError, match=rf"{name} cannot be read"):
            answer_rows(saved_network, str(tmp_path / name), str(tmp_path / "out.jsonl"), "text")


def test_an_output_folder_that_does_not_exist_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        answer_rows(tmp_path / "no_model", "no_input.jsonl", str(tmp_path / "nowhere" / "out.jsonl"), "text")


def test_rows_of_another_format_come_from_what_reads_them(saved_network: Path, tmp_path: Path) -> None:
    output, rows = tmp_path / "out.jsonl", {7: {"text": TEXTS[0], "n": 1}, 9: {"text": " "}}
    assert answer_rows(saved_network, "new.csv", str(output), "text", read=lambda _: {7: rows[7]}) == 1
    assert read(output)[0].keys() == {"text", "n", "predictions"}
    with pytest.raises(InputError, match=r"new\.csv, line 9: expected an object with text"):
        answer_rows(saved_network, "new.csv", str(output), "text", read=lambda _: rows)
