"""CoNLL files: a row a sentence, under the line of its first token."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from data_contracts.errors import InputError
from tasks.ingestion.conll import to_bio
from tasks.ingestion.rows import UnreadableRow
from tasks.ingestion.sources import Conll, FileSource

Row = dict[str, Any]
Rows = Callable[[FileSource, bytes], list[tuple[int, Row]]]
Unreadable = Callable[[FileSource, bytes], list[UnreadableRow]]

ANA = {"tokens": ["Ana", "left", "Huế"], "tags": ["B-PER", "O", "B-LOC"], "text": "Ana left Huế"}
BYE = {"tokens": ["Bye"], "tags": ["O"], "text": "Bye"}


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (Conll(path="a"), "Ana B-PER\nleft O\nHuế B-LOC\n\nBye O\n"),
        (Conll(path="a"), "Ana\tB-PER\r\nleft\tO\r\nHuế\tB-LOC\r\n\r\nBye\tO"),
        (Conll(path="a"), "Ana NNP B-NP B-PER\nleft VBD B-VP O\nHuế NNP B-NP B-LOC\n \nBye UH O O\n\n\n"),
        (Conll(path="a", token_column=1, tag_column=2), "1 Ana B-PER x\n2 left O x\n3 Huế B-LOC x\n\n1 Bye O x\n"),
        (Conll(path="a", delimiter="|", tag_column=1), "Ana|B-PER\nleft|O\nHuế|B-LOC\n\nBye|O\n"),
        (Conll(path="a", scheme="iob1"), "Ana I-PER\nleft O\nHuế I-LOC\n\nBye O\n"),
    ],
    ids=["two columns", "tabs", "four columns", "tokens in the middle", "another delimiter", "iob1"],
)
def test_every_layout_gives_the_same_sentences(source: Conll, content: str, rows_of: Rows) -> None:
    assert rows_of(source, content.encode()) == [(1, ANA), (5, BYE)]
    zipped = source.at("a.conll.gz")
    assert rows_of(zipped, gzip.compress(content.encode())) == [(1, ANA), (5, BYE)]


def test_document_starts_and_comments_are_no_sentences_and_count_as_lines(rows_of: Rows) -> None:
    content = "-DOCSTART- -X- O\n\n# sent_id = 1\n# text = Bye\nBye UH O\n-DOCSTART- -X- O\nBye UH O\n\n# the end\n"
    assert rows_of(Conll(path="a"), content.encode()) == [(5, BYE), (7, BYE)]


@pytest.mark.parametrize("content", ["# O\n1 O\n", "#\tO\n1\tO\n", "1 O\n# O\n"])
def test_a_tagged_hash_is_a_token(content: str, rows_of: Rows) -> None:
    ((number, row),) = rows_of(Conll(path="a"), content.encode())
    assert number == 1
    assert sorted(row["tokens"]) == ["#", "1"]


def test_white_space_in_a_token_that_is_not_ascii_does_not_end_it(rows_of: Rows) -> None:
    ((_, row),) = rows_of(Conll(path="a"), "10\u00a0000 O\n".encode())
    assert row["tokens"] == ["10\u00a0000"]


def test_the_text_of_a_script_without_spaces_has_none(rows_of: Rows) -> None:
    ((_, row),) = rows_of(Conll(path="a", joined_by=""), "北 B-LOC\n京 I-LOC\n！ O\n".encode())
    assert (row["tokens"], row["text"]) == (["北", "京", "！"], "北京！")


def test_a_tab_delimiter_keeps_tokens_with_spaces(rows_of: Rows) -> None:
    ((_, row),) = rows_of(Conll(path="a", delimiter="\t"), b"New York\tB-LOC\n")
    assert row["tokens"] == ["New York"]


def test_a_sentence_with_a_line_of_another_width_is_unreadable_and_its_neighbours_are_read(
    rows_of: Rows, unreadable_in: Unreadable
) -> None:
    content = b"Bye UH O\n\n# note\nAna NNP B-PER\nleft O\n\nBye UH O\n\nBye UH O O\n"
    assert [number for number, _ in rows_of(Conll(path="a"), content)] == [1, 7]
    assert unreadable_in(Conll(path="a"), content) == [
        UnreadableRow(4, "line 5 has 2 columns, but the file's first token has 3", "Ana NNP B-PER\nleft O"),
        UnreadableRow(9, "line 9 has 4 columns, but the file's first token has 3", "Bye UH O O"),
    ]


def test_a_line_without_a_tag_is_unreadable_even_as_the_first(rows_of: Rows, unreadable_in: Unreadable) -> None:
    content = b"Ana\n\nBye O\n"
    assert rows_of(Conll(path="a"), content) == [(3, BYE)]
    assert unreadable_in(Conll(path="a"), content) == [
        UnreadableRow(1, "line 1 has 1 columns: no separate columns 0 (token) and -1 (tag)", "Ana")
    ]


def test_a_sentence_that_is_not_utf8_is_unreadable(rows_of: Rows, unreadable_in: Unreadable) -> None:
    content = b"caf\xe9 O\n\nBye O\n"
    assert rows_of(Conll(path="a"), content) == [(3, BYE)]
    assert unreadable_in(Conll(path="a"), content) == [UnreadableRow(1, "not UTF-8", "caf\\xe9 O")]


def test_tokens_and_tags_become_the_contracts_columns(rows_of: Rows) -> None:
    source = Conll.model_validate({"path": "a", "columns": {"entities": {"tokens": "tokens", "tags": "tags"}}})
    assert rows_of(source, b"Bye O\n") == [(1, {"text": "Bye", "entities": {"tokens": ["Bye"], "tags": ["O"]}})]


def test_a_file_of_another_format_is_refused_before_it_fills_the_memory(rows_of: Rows) -> None:
    with pytest.raises(InputError, match=r"a\.txt, line 100001: no blank line for 100,000 lines, which is no sentence"):
        rows_of(Conll(path="a.txt"), b"a O\n" * 150_000)


@pytest.mark.parametrize(
    ("iob1", "bio"),
    [
        ("I-PER I-PER O", "B-PER I-PER O"),
        ("I-PER B-PER I-PER", "B-PER B-PER I-PER"),
        ("I-PER I-LOC I-LOC", "B-PER B-LOC I-LOC"),
        ("O B-LOC I-LOC", "O B-LOC I-LOC"),
        ("O O", "O O"),
    ],
)
def test_iob1_tags_become_bio_tags(iob1: str, bio: str) -> None:
    assert to_bio(iob1.split()) == bio.split()
