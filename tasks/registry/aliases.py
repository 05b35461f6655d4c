"""MLflow's aliases of one pipeline: champion and previous as the ledger has them, challenger as MLflow keeps it."""

from collections.abc import Callable
from typing import Any

from data_contracts.artifacts import Promotion, Verdict
from tasks.registry.promotions import PromotionLedger, in_words

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
PROMOTION = "graft.promotion"


class Aliases:
    """The aliases at one tracking server, whose errors are raised as they come."""

    def __init__(self, client: Any, pipeline: str, ledger: PromotionLedger) -> None:
        self._client, self._pipeline, self._ledger = client, pipeline, ledger

    def decided(self) -> dict[str, int]:
        """{alias: version} as the ledger has it, and as MLflow keeps those that the ledger does not speak of."""
        kept, entry = self.kept(), self._ledger.last()
        if entry is None:
            return kept
        decided = {PREVIOUS: entry.previous, CHAMPION: entry.version}
        others = {name: version for name, version in kept.items() if name not in decided}
        if others.get(CHALLENGER) == entry.version:
            del others[CHALLENGER]
        return others | {name: version for name, version in decided.items() if version is not None}

    def kept(self) -> dict[str, int]:
        """{alias: version} as MLflow keeps it, which may be behind the ledger."""
        # Databases give numbers here, servers give text.
        aliases = self._client.get_registered_model(self._pipeline).aliases
        return {name: int(version) for name, version in aliases.items()}

    def follow_ledger(self, held: Callable[[], set[int]]) -> str | None:
        """Points champion and previous where the ledger says. Returns where champion pointed instead, or None.

        An entry that another process adds meanwhile is followed, too: whoever writes last has looked since. `held`
        gives the versions that are there, for MLflow points no alias to one that somebody has deleted.
        """
        wrong = None
        while (entry := self._ledger.last()) is not None:
            kept = self.kept()
            wanted = {PREVIOUS: entry.previous, CHAMPION: entry.version}
            amiss: dict[str, int | None] = {
                alias: to for alias, to in wanted.items() if to is not None and kept.get(alias) != to
            }
            if kept.get(CHALLENGER) == entry.version:
                amiss[CHALLENGER] = None
            there = held() if amiss else set()
            amiss = {alias: to for alias, to in amiss.items() if to is None or to in there}
            if not amiss:
                break
            if CHAMPION in amiss:
                wrong = wrong or (f"version {kept[CHAMPION]}" if CHAMPION in kept else "nothing")
            self._write(amiss, entry)
        return wrong

    def point_challenger(self, version: int, verdict: Verdict) -> None:
        """Makes the version challenger or, where it was rejected, no longer challenger."""
        if verdict != "REJECT":
            _set_beside_others(self._client.set_registered_model_alias, self._pipeline, CHALLENGER, str(version))
        elif self.kept().get(CHALLENGER) == version:
            self._client.delete_registered_model_alias(self._pipeline, CHALLENGER)

    def _write(self, targets: dict[str, int | None], entry: Promotion) -> None:
        # The aliases last: while one of them is behind, all of this is done again.
        if entry.version in targets.values():
            _set_beside_others(
                self._client.set_model_version_tag, self._pipeline, str(entry.version), PROMOTION, in_words(entry)
            )
        for alias, version in targets.items():
            if version is None:
                self._client.delete_registered_model_alias(self._pipeline, alias)
            else:
                _set_beside_others(self._client.set_registered_model_alias, self._pipeline, alias, str(version))


def _set_beside_others(write: Callable[..., None], *arguments: str) -> None:
    """Sets an alias or a tag that another process may set at the same moment.

    MLflow looks whether it is there, and then inserts or updates it. Where another process inserted it in between, the
    database refuses that (BAD_REQUEST); once more, it is there and is updated.
    """
    from mlflow.exceptions import MlflowException

    try:
        write(*arguments)
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        write(*arguments)
