"""What two texts have in common when they say the same."""

import unicodedata
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Marks (M) are accents and vowel signs: part of the word they stand in.
NOT_OF_A_WORD = r"[^\p{L}\p{M}\p{N}]+"


def words_alone(texts: Any) -> Any:
    """The words of every text of an Arrow array: in NFKC and lower case, parted by single spaces; null stays null."""
    if isinstance(texts, pa.ChunkedArray):
        return pa.chunked_array([words_alone(chunk) for chunk in texts.chunks], texts.type)
    lowered = pc.utf8_lower(_composed(texts))
    return pc.utf8_trim(pc.replace_substring_regex(lowered, NOT_OF_A_WORD, " "), " ")


def _composed(texts: Any) -> Any:
    """In NFKC, which pyarrow's own utf8_normalize leaves decomposed (https://github.com/apache/arrow/issues/51225)."""
    beyond_ascii = pc.fill_null(pc.invert(pc.string_is_ascii(texts)), False)
    if not pc.any(beyond_ascii).as_py():
        return texts
    composed = [unicodedata.normalize("NFKC", text) for text in pc.filter(texts, beyond_ascii).to_pylist()]
    return pc.replace_with_mask(texts, beyond_ascii, pa.array(composed, texts.type))
