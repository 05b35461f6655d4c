"""Which texts a wrong encoding damaged, and which only use many letters."""

import json
import re
import unicodedata
from pathlib import Path

import pytest

from data_contracts.dataset import load_contract
from tasks.validation.encoding_damage import damage_in, damaged

SAMPLES = Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support"
SOUND = {
    "vi": ["Đơn hàng của tôi bao giờ mới tới?", "Máy giặt kêu rất to khi vắt, trả lại tiền đi!", "ĐÃ TRẢ HÀNG, CẢM ƠN"],
    "fr": ["Où est la bouilloire « Brume » ? Je l'ai commandée à Noël…", "ÇA NE MARCHE PAS, C'EST DÉJÀ LA 2ᵉ FOIS"],
    "de": ["Für 45 € ist die Größe völlig überzogen – schöne Grüße", "„Straße“ war falsch geschrieben"],
    "es": ["¿Dónde está el hervidor? ¡Ya pasó una semana!", "El niño rompió el 1.º y el 2.ª también"],
    "pl": ["Zażółć gęślą jaźń, a pralka wciąż cieknie", "ŹLE DZIAŁA, PROSZĘ O ZWROT PIENIĘDZY"],
    "cs": ["Příliš žluťoučký kůň úpěl ďábelské ódy", "Ještě mi nepřišla faktura č. 12"],
    "emoji": ["Great!! 🎉👍🏽 arrived in a day 👨‍👩‍👧", "meh 😒☕️ – 20 °C, ½ full, ±3 %"],
}


def texts_of(*names: str) -> list[str]:
    paths = [path for name in names for path in sorted(SAMPLES.rglob(name))]
    return [json.loads(line)["text"] for path in paths for line in path.open(encoding="utf-8")]


def sound_samples() -> list[str]:
    """Texts of all sample files but the one that is damaged on purpose."""
    return [
        json.loads(line)["text"]
        for path in sorted(SAMPLES.rglob("*.jsonl"))
        if path.name != "week_4.jsonl"
        for line in path.open(encoding="utf-8")
    ]


def read_wrongly(text: str, encoding: str) -> str:
    """The text's UTF-8 as a program reads it that takes it for the other encoding."""
    # The five bytes that windows-1252 leaves free are read as Latin-1 has them, as browsers do.
    return "".join(bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("language", SOUND)
def test_sound_texts_pass_in_any_case_and_unicode_form(language: str) -> None:
    for text in SOUND[language]:
        for form in ("NFC", "NFD"):
            for variant in (text, text.upper(), text.lower(), text.title()):
                assert damage_in(unicodedata.normalize(form, variant)) is None


@pytest.mark.parametrize("language", SOUND)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_the_same_texts_read_in_another_encoding_are_damaged(language: str, encoding: str) -> None:
    for text in SOUND[language]:
        assert damage_in(read_wrongly(text, encoding)) is not None


def test_no_sound_sample_is_damaged() -> None:
    texts = sound_samples()
    assert len(texts) > 3000
    assert sum(not text.isascii() for text in texts) > 500
    assert [found for found in damaged(texts) if found is not None] == []


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_samples_with_letters_beyond_ascii_are_found_when_read_in_another_encoding(encoding: str) -> None:
    texts = [text for text in sound_samples() if any(sign.isalpha() and sign > "\x7f" for sign in text)]
    assert len(texts) > 200
    found = damaged(read_wrongly(text, encoding) for text in texts)
    assert sum(found is not None for found in found) >= 0.95 * len(texts)


def test_what_the_contract_support_rejects_is_damaged() -> None:
    # The contract's own pattern lists the sequences that it was written for.
    pattern = re.compile(
        "[\ufffd\u0001-\u0008\u000e-\u001f\u0080-\u009f]|Ã[\u00a0-\u00bf]|á[º»]|â€|â‚¬|Â[\u00a0-\u00bf]|ðŸ"
    )
    texts = texts_of("week_4.jsonl")
    rejected = [text for text in texts if pattern.search(text)]
    assert load_contract("support").name == "support"
    assert len(rejected) > 50
    assert [text for text, found in zip(texts, damaged(texts), strict=True) if found is not None] == rejected


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        ("my \ufffdrder", "a replacement character"),
        ("ring\x07", "control character U+0007"),
        ("nul\x00", "control character U+0000"),
        ("delete\x7f", "control character U+007F"),
        ("Rock \x96 Roll", "control character U+0096"),
        ("half \ud83d", "half a surrogate pair U+D83D"),
        ("Ã¡n", "UTF-8 read as another encoding: 'Ã¡n'"),
        ("itâ€™s", "UTF-8 read as another encoding: 'â€'"),
        ("two faults: Ã¡ and \x07", "control character U+0007"),
    ],
)
def test_the_damage_is_named(text: str, damage: str) -> None:
    assert damage_in(text) == damage


@pytest.mark.parametrize(
    "text", ["", "line\nbreak\r\nand\ttab", "\u00a0no-break space", "soft\u00adhyphen", "שלום", "日本"]
)
def test_white_space_and_other_scripts_are_no_damage(text: str) -> None:
    assert damage_in(text) is None


def test_a_missing_text_of_a_batch_is_not_damaged() -> None:
    assert damaged(["fine", None, "Ã¡n"]) == [None, None, "UTF-8 read as another encoding: 'Ã¡n'"]
