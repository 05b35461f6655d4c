"""Which language a text is in, and when it is too short to say."""

import json
from pathlib import Path

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from data_contracts.errors import InputError
from tasks.validation.languages import MIN_BYTES, MIN_PROBABILITY, language_of, language_shares

SAMPLES = Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support"
SENTENCES = {
    "en": ["Where is the kettle that I ordered last Monday?", "Please send me the invoice again"],
    "vi": ["Đơn hàng của tôi bao giờ mới tới?", "Máy giặt kêu rất to khi vắt"],
    "fr": ["Où est la bouilloire que j'ai commandée lundi ?", "La machine perd de l'eau à chaque démarrage."],
    "de": ["Wo bleibt der Wasserkocher, den ich am Montag bestellt habe?", "Danke, jetzt geht alles wieder."],
    "es": ["¿Dónde está el hervidor que pedí el lunes?", "La máquina pierde agua cada vez que la enciendo."],
    "pt": ["Onde está a chaleira que encomendei na segunda-feira?", "A máquina perde água sempre que a ligo."],
    "pl": ["Gdzie jest czajnik, który zamówiłem w poniedziałek?", "Pralka przecieka przy każdym uruchomieniu."],
    "cs": ["Kde je konvice, kterou jsem objednal v pondělí?", "Pošlete mi prosím fakturu ještě jednou"],
    "ru": ["Где чайник, который я заказал в понедельник?", "Машина течёт при каждом запуске."],
    "ja": ["月曜日に注文したやかんはどこですか。", "請求書をもう一度送ってください"],
    "tr": ["Pazartesi günü sipariş ettiğim su ısıtıcısı nerede?", "Makine her çalıştığında su kaçırıyor."],
    "id": ["Di mana ketel yang saya pesan hari Senin?", "Mesin bocor setiap kali dinyalakan."],
}


def rows() -> list[tuple[str, str]]:
    """(language, text) of every labelled sample row."""
    read = [json.loads(line) for path in sorted(SAMPLES.rglob("*.jsonl")) for line in path.open(encoding="utf-8")]
    return [(row["language"], row["text"]) for row in read if "urgency" in row]


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_told_by_its_language(code: str) -> None:
    assert [found for found, _ in language_of(SENTENCES[code])] == [code, code]


def test_the_samples_languages_are_those_that_their_rows_state() -> None:
    stated = rows()
    found = language_of([text for _, text in stated])
    told = [(wanted, code) for (wanted, _), (code, _) in zip(stated, found, strict=True) if code != "und"]
    assert len(stated) > 2500
    assert len(told) > 0.95 * len(stated)
    assert sum(wanted == code for wanted, code in told) > 0.995 * len(told)


def test_a_batch_gives_what_the_library_gives_for_each_text_alone() -> None:
    texts = [text for _, text in rows()] + [sentence for pair in SENTENCES.values() for sentence in pair]
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted(code for code in identifier.labels if len(code) == 2))
    compared = 0
    for text, (code, probability) in zip(texts, language_of(texts), strict=True):
        wanted, certain = identifier.classify(text)
        assert probability == pytest.approx(certain, abs=1e-4)
        if code != "und":
            assert code == wanted
            compared += 1
    assert compared > 2500


def test_neighbours_in_a_batch_change_nothing() -> None:
    sentences = [sentence for pair in SENTENCES.values() for sentence in pair]
    alone = [language_of([sentence])[0] for sentence in sentences]
    together = language_of(sentences * 700)
    assert len(together) == 24 * 700
    assert [code for code, _ in together] == [code for code, _ in alone] * 700
    assert together[-1][1] == pytest.approx(alone[-1][1], abs=1e-5)


@pytest.mark.parametrize("text", ["", "ok", "起動", "hello you", "12345678901234567890", "👍👍👍👍"])
def test_what_is_too_short_or_without_words_is_undetermined(text: str) -> None:
    assert [code for code, _ in language_of([text])] == ["und"]


def test_the_floor_is_one_of_bytes_so_a_few_chinese_characters_are_enough() -> None:
    assert len("请再发一次".encode()) > MIN_BYTES > len("hello you")
    assert language_of(["请再发一次"])[0][0] == "zh"


def test_a_best_language_of_little_probability_is_undetermined() -> None:
    code, probability = language_of(["VAT RECIEPT PLESE. XENO27 X 3. ORDR LF-77390"])[0]
    assert probability < MIN_PROBABILITY
    assert code == "und"


def test_capitals_and_composed_letters_are_read_like_others() -> None:
    assert language_of(["ĐƠN HÀNG CỦA TÔI BAO GIỜ MỚI TỚI?"]) == language_of(["đơn hàng của tôi bao giờ mới tới?"])
    # "é" as a letter and a combining accent.
    assert (
        language_of(["Merci, la cafetie\u0300re est re\u0301pare\u0301e"])[0]
        == language_of(["Merci, la cafetière est réparée"])[0]
    )


def test_among_a_few_languages_their_probabilities_sum_to_one() -> None:
    text = "ordr LF-77390 plese, I dont no"
    everywhere = language_of([text])[0]
    (code, probability), *_ = language_of([text], among=["en", "vi"])
    assert code == "en"
    assert everywhere[1] < probability <= 1
    # No other language is left: French counts as one of the two.
    assert language_of(SENTENCES["fr"], among=["en", "vi"])[0][0] in ("en", "vi", "und")


def test_a_language_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(InputError, match=r"languages pcm, xx cannot be told apart; those that can are af, am, an"):
        language_of(["Where is my parcel?"], among=["en", "xx", "pcm"])


def test_shares_are_of_all_texts_the_largest_first() -> None:
    texts = [*SENTENCES["vi"], SENTENCES["en"][0], "ok"]
    assert language_shares(texts) == {"vi": 0.5, "en": 0.25, "und": 0.25}
    assert next(iter(language_shares(texts))) == "vi"
    assert language_shares([]) == {}


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    long = " ".join(SENTENCES["en"] * 40)
    assert len(long) > 2000
    assert language_of([long + " " + " ".join(SENTENCES["vi"] * 200)])[0][0] == "en"
