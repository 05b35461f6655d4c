"""Translation by a sequence-to-sequence model of transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from data_contracts.errors import InputError
from tasks.modeling.encoder import encoder_folder

if TYPE_CHECKING:
    from torch import Tensor

MOST_TOKENS = 512
# A translation may be this much longer than its text before it is given up.
TOKENS_A_TOKEN, MORE_TOKENS = 2, 16


class Translator(BaseModel):
    """A model that turns texts of one language into texts of another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="hub id, local folder (relative to the pipeline), s3:// folder, or package:NAME")
    revision: str | None = Field(None, description="commit, tag or branch of a hub id")
    prefix: str = Field("", description="put before each text, such as `translate English to German: ` or `>>fra<< `")
    source_language: str | None = Field(None, description="its code in a model of many languages, such as eng_Latn")
    target_language: str | None = Field(None, description="its code in a model of many languages, such as vie_Latn")

    def folder(self) -> Path:
        """Where the model lies, fetched first where it is remote. Raises InputError where there is none."""
        try:
            return encoder_folder(self.name, self.revision)
        except InputError as error:
            raise InputError(f"back_translation: {error}") from error

    def translate(self, texts: Sequence[str], *, beams: int, batch_rows: int) -> list[str]:
        """Each text's translation by greedy or beam search, always the same.

        Empty where the text is longer than the model can read, or where the translation does not come to an end.
        """
        tokenizer, model = self._load()
        limit = _token_limit(tokenizer, model)
        settings = {"num_beams": beams, "do_sample": False, **self._first_token(tokenizer)}
        encoded = tokenizer([self.prefix + text for text in texts], verbose=False)["input_ids"]
        fitting = [row for row, ids in enumerate(encoded) if texts[row].strip() and len(ids) <= limit]
        # Like lengths together: little padding, and a batch ends when its longest does.
        fitting.sort(key=lambda row: len(encoded[row]))
        found = [""] * len(texts)
        with tqdm(total=len(fitting), desc="translating", unit="row", disable=None, leave=False) as bar:
            for start in range(0, len(fitting), batch_rows):
                rows = fitting[start : start + batch_rows]
                batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt")
                longest = min(limit - 1, TOKENS_A_TOKEN * batch["input_ids"].shape[1] + MORE_TOKENS)
                answers = model.generate(**batch.to(model.device), **settings, max_new_tokens=longest)
                ends = _has_ended(answers, tokenizer, longest)
                for row, text, ended in zip(
                    rows, tokenizer.batch_decode(answers, skip_special_tokens=True), ends, strict=True
                ):
                    found[row] = text.strip() if ended else ""
                bar.update(len(rows))
        return found

    def _load(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        from transformers.utils import logging

        from tasks.modeling.inference import device_of_choice

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        folder = self.folder()
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
        except Exception as error:  # what a folder lacks is told by errors of many kinds
            raise InputError(
                f"back_translation: {self.name} is no sequence-to-sequence model that transformers can load: {error}"
            ) from error
        if self.source_language:
            tokenizer.src_lang = self.source_language
        return tokenizer, model.to(device_of_choice())

    def _first_token(self, tokenizer: Any) -> dict[str, int]:
        """What tells a model of many languages into which to translate: the token of that language, put first."""
        if self.target_language is None:
            return {}
        if self.target_language in getattr(tokenizer, "lang_code_to_token", {}):
            return {"forced_bos_token_id": tokenizer.get_lang_id(self.target_language)}
        found = tokenizer.convert_tokens_to_ids(self.target_language)
        if found is None or found == tokenizer.unk_token_id:
            raise InputError(
                f"back_translation: {self.name} knows no language {self.target_language!r}. Correct `target_language`, "
                "or leave it out for a model of one pair of languages."
            )
        return {"forced_bos_token_id": found}


def _token_limit(tokenizer: Any, model: Any) -> int:
    limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", MOST_TOKENS), MOST_TOKENS)
    return min(int(limit) for limit in limits)


def _has_ended(answers: "Tensor", tokenizer: Any, longest: int) -> list[bool]:
    """Whether each ended by itself: the first token may be the end token, too, and the last possible one is forced."""
    ended: list[bool] = (answers[:, 1:longest] == tokenizer.eos_token_id).any(dim=1).tolist()
    return ended
