"""Translation by small models that were trained for it, loaded as any other."""

import json
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest

from data_contracts.errors import InputError
from tasks.preparation.translation import Translator

ENGLISH = ["thanks a lot", "where is my refund", "the parcel is late", "where is my refund"]
GERMAN = ["vielen dank", "wo ist mein geld", "das paket ist spät", "wo ist mein geld"]


def translated(folder: Path | str, texts: list[str], **settings: Any) -> list[str]:
    """The texts by the model in that folder, two at a time."""
    return Translator(name=str(folder), **settings).translate(texts, beams=1, batch_rows=2)


def test_each_text_is_translated_and_stands_where_it_stood(translators: tuple[Path, Path]) -> None:
    assert translated(translators[0], ENGLISH) == GERMAN
    assert translated(translators[1], GERMAN[:1]) == ["many thanks"]


@pytest.mark.parametrize(("beams", "batch_rows"), [(1, 1), (1, 100), (3, 2)])
def test_neither_beams_nor_batches_change_what_is_certain(
    translators: tuple[Path, Path], beams: int, batch_rows: int
) -> None:
    found = Translator(name=str(translators[0])).translate(ENGLISH, beams=beams, batch_rows=batch_rows)
    assert found == GERMAN


def test_a_model_that_samples_by_default_does_not_here(translators: tuple[Path, Path], tmp_path: Path) -> None:
    from transformers import GenerationConfig

    folder = shutil.copytree(translators[0], tmp_path / "sampling")
    config = GenerationConfig.from_pretrained(folder)
    config.update(do_sample=True, temperature=50.0, top_k=0)
    config.save_pretrained(folder)
    assert [translated(folder, ENGLISH) for _ in range(3)] == [GERMAN] * 3


def test_a_text_longer_than_the_model_reads_has_no_translation(translators: tuple[Path, Path]) -> None:
    assert translated(translators[0], ["thanks a lot " * 9, ENGLISH[0], " ", ""]) == ["", GERMAN[0], "", ""]


def test_a_translation_that_does_not_come_to_an_end_is_none(translators: tuple[Path, Path], tmp_path: Path) -> None:
    import torch
    from transformers import MarianMTModel

    folder = shutil.copytree(translators[0], tmp_path / "endless")
    model = MarianMTModel.from_pretrained(folder)
    with torch.no_grad():
        model.final_logits_bias[0, 0] = -1e4  # that of the end token
    model.save_pretrained(folder)
    assert translated(folder, ENGLISH[:2]) == ["", ""]


def test_the_prefix_is_put_before_each_text(translators: tuple[Path, Path]) -> None:
    assert translated(translators[0], ["refund"], prefix="where is my ") == [GERMAN[1]]


def test_the_target_language_is_the_token_that_a_translation_begins_with(translators: tuple[Path, Path]) -> None:
    # These models know no languages, but any of their pieces can be put first: one, say, that `vielen dank` lacks.
    piece = next(piece for piece in json.loads((translators[0] / "vocab.json").read_text()) if "m" in piece)
    assert translated(translators[0], ["thanks a lot"]) == ["vielen dank"]
    assert translated(translators[0], ["thanks a lot"], target_language=piece)[0].startswith(piece.strip("\u2581"))


def test_a_language_that_the_model_does_not_know_is_refused(translators: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"back_translation: .* knows no language 'vie_Latn'"):
        translated(translators[0], ["thanks"], target_language="vie_Latn")


def test_a_model_may_lie_on_s3(translators: tuple[Path, Path], s3_bucket: str) -> None:
    for path in translators[0].iterdir():
        boto3.client("s3").upload_file(str(path), s3_bucket, f"there/{path.name}")
    assert translated(f"s3://{s3_bucket}/there", ENGLISH[:1]) == GERMAN[:1]


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"back_translation: .*/nowhere is not a folder"):
        translated("/nowhere", ["thanks"])


def test_an_encoder_is_no_translator(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match="is no sequence-to-sequence model that transformers can load"):
        translated(tiny_encoder, ["thanks"])
