"""What two texts have in common when they say the same."""

import unicodedata
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Marks (M) are accents and vowel signs: part of the word they stand in.
NOT_OF_A_WORD = r"[^\p{L}\p{M}\p{N}]+"
ASCII_WORDS = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))


def words_alone(texts: Any) -> Any:
    """The words of every text of an Arrow array: in NFKC and lower case, parted by single spaces; null stays null."""
    if isinstance(texts, pa.ChunkedArray):
        return pa.chunked_array([words_alone(chunk) for chunk in texts.chunks], texts.type)
    beyond_ascii = pc.fill_null(pc.invert(pc.string_is_ascii(texts)), False)
    if not pc.any(beyond_ascii).as_py():
        return _ascii_words(texts)
    # pyarrow's own utf8_normalize leaves texts decomposed (https://github.com/apache/arrow/issues/51225).
    composed = [unicodedata.normalize("NFKC", text) for text in pc.filter(texts, beyond_ascii).to_pylist()]
    lowered = pc.utf8_lower(pa.array(composed, texts.type))
    others = pc.utf8_trim(pc.replace_substring_regex(lowered, NOT_OF_A_WORD, " "), " ")
    return pc.replace_with_mask(_ascii_words(pc.if_else(beyond_ascii, "", texts)), beyond_ascii, others)


def _ascii_words(texts: Any) -> Any:
    """The same of ASCII texts, letter by letter in their common buffer: five times as fast as by an expression."""
    validity, offsets, letters = texts.buffers()
    if letters is None:
        return texts
    plain = pa.py_buffer(letters.to_pybytes().translate(ASCII_WORDS))
    words = pa.Array.from_buffers(texts.type, len(texts), [validity, offsets, plain], offset=texts.offset)
    while pc.any(pc.match_substring(words, "  ")).as_py():
        words = pc.replace_substring(words, "  ", " ")
    return pc.utf8_trim(words, " ")
