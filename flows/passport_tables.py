"""What the commands about versions show."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_contracts.environment import Environment
from flows.terminal import open_console
from tasks.evaluation.task import Movement
from tasks.registry.task_passports import Change, Changes, Link, Passport, WeightDifference, first_broken

DIGITS = 12
STYLES = {"holds": "green", "BROKEN": "bold red", "differs today": "yellow", "gone": "yellow"}


def show_links(title: str, links: Sequence[Link]) -> None:
    """The broken link that is nearest to the source, or the whole chain as a table."""
    console = open_console()
    broken = first_broken(links)
    if broken is not None:
        console.print(f"{title}: [bold red]the chain is broken at {escape(broken.name)}[/]", highlight=False)
        console.print(f"  expected {broken.expected}\n  found    {broken.found}", highlight=False, markup=False)
    table = _table(f"{title}, from its source to its verdict", "link", "state", "expected", "found")
    for link in links:
        shown = [escape(_short(text)) for text in (link.expected, link.found)]
        table.add_row(escape(link.name), f"[{STYLES[link.status]}]{link.status}[/]", *shown)
    console.print(table)
    if broken is None:
        others = sum(link.status != "holds" for link in links)
        outside = f"; {others} thing(s) outside the store are others today, which breaks nothing" if others else ""
        console.print(f"The chain of {title} holds{outside}.", highlight=False)


def show_changes(name: str, versions: tuple[int, int], passports: tuple[Passport, Passport], changes: Changes) -> None:
    """What differs between two versions, part by part; parts that do not differ are named in one line."""
    console = open_console()
    verdicts = " → ".join(
        f"version {number} ({passport.judgement.verdict}, {passport.made_at:%Y-%m-%d})"
        for number, passport in zip(versions, passports, strict=True)
    )
    console.print(f"[bold]{escape(name)}[/]: {verdicts}", highlight=False)
    if changes.nothing:
        console.print("Both were made from the same rows, contract, settings, code and packages, on the same machine.")
        return
    same = []
    moved = [row for row in changes.rows if row.added or row.removed]
    if moved:
        table = _table("rows", "split", "in both", "removed", "added")
        for row in moved:
            table.add_row(escape(row.split), str(row.kept), str(row.removed), str(row.added))
        console.print(table)
    else:
        same.append("rows")
    if changes.contract:
        console.print("[bold]contract[/]")
        for difference in changes.contract:
            console.print(f"  {difference.path}: {difference.change}", highlight=False, markup=False)
    else:
        same.append("contract")
    parts = {"settings": changes.settings, "packages": changes.packages, "machine": changes.machine}
    for title, found in parts.items():
        if found:
            console.print(_values(title, versions, found))
        else:
            same.append(title)
    if changes.code:
        _show_code(console, "code", changes.code)
    else:
        same.append("code")
    console.print(f"the same in both: {', '.join(same) or 'nothing'}", highlight=False)


def show_movements(versions: tuple[int, int], movements: Sequence[Movement]) -> None:
    """Scores of both versions, what each changed by, and its interval."""
    table = _table(
        "scores", "task", "split", "metric", *(f"version {n}" for n in versions), "change", "95% of the change"
    )
    for moved in movements:
        sure = moved.low is not None and moved.high is not None and (moved.low > 0 or moved.high < 0)
        style = ("green" if (moved.change or 0) > 0 else "red") if sure else "default"
        change = "" if moved.change is None else f"[{style}]{moved.change:+.3f}[/]"
        interval = "no interval" if moved.low is None else f"{moved.low:+.3f} … {moved.high:+.3f}"
        names = (moved.task, moved.split, moved.metric.removeprefix("out_of_scope_"))
        table.add_row(*map(escape, names), _score(moved.before), _score(moved.after), change, interval)
    open_console().print(table)


def show_conditions(title: str, passport: Passport, code: Sequence[Change], now: Environment) -> None:
    """Under which conditions a version is trained again: first the code that changed, then where, and from what."""
    console = open_console()
    if code:
        console.print(f"[yellow]The code changed since {escape(title)} was made, so other weights are no surprise:[/]")
        _show_code(console, "changed files", code)
    elif (git := passport.program.git) is not None:
        more = " with changes that were not committed" if git.dirty else ""
        console.print(f"The code is that of then (commit {git.commit[:DIGITS]}{more}).", highlight=False)
    then = passport.model.environment
    differing = _environment_changes(then, now)
    if differing:
        console.print(_values("machine and packages", ("then", "now"), differing))
    model, recipe = passport.model, passport.settings["training"]
    lines = {
        "rows": f"{passport.snapshot.digest[:DIGITS]} ({sum(passport.snapshot.rows.values())} in all splits)",
        "tokens": passport.tokens[:DIGITS],
        "encoder": f"{model.encoder.name} {model.encoder.digest[:DIGITS]}",
        "heads": ", ".join(model.tasks),
        "recipe": f"up to {recipe['epochs']} epoch(s), seed {passport.seed}",
        "threads": str(then.threads if then else now.threads),
        "weights to match": passport.weights[:DIGITS],
    }
    console.print(f"{title} is trained again from", highlight=False, markup=False)
    for name, text in lines.items():
        console.print(f"  {name:<17}{text}", highlight=False, markup=False)


def show_reproduction(
    title: str, weights: WeightDifference, scores: dict[str, dict[str, float]], passport: Passport
) -> bool:
    """Whether the weights are the same, which is returned; where not, how far apart weights and scores are."""
    console = open_console()
    if weights.equal:
        console.print(f"[green]{escape(title)} is reproduced[/]: weights {weights.after[:DIGITS]}, equal to the byte.")
        return True
    console.print(f"[yellow]{escape(title)} was not reproduced to the byte.[/]", highlight=False)
    told = [f"weights {weights.before[:DIGITS]} then, {weights.after[:DIGITS]} now"]
    if weights.unlike:
        told.append(f"only in one of them, or of another shape: {', '.join(weights.unlike)}")
    told.append(
        f"{weights.moved} of {weights.weights} weights differ, by {weights.mean:.2e} on average and by "
        f"{weights.largest:.2e} at most ({weights.where})"
    )
    for line in told:
        console.print(f"  {line}", highlight=False, markup=False)
    table = _table("scores", "task", "split", "then", "now", "change")
    for task, of_task in passport.assessment.scores.items():
        for split, value in of_task.items():
            now = scores.get(task, {}).get(split)
            change = "" if now is None else f"{now - value:+.4f}"
            table.add_row(escape(task), escape(split), _score(value), _score(now), change)
    console.print(table)
    return False


def _environment_changes(then: Environment | None, now: Environment) -> list[Change]:
    if then is None:
        return []
    from tasks.registry.task_passports import value_changes

    return value_changes(then.model_dump(), now.model_dump())


def _show_code(console: Console, title: str, changes: Sequence[Change]) -> None:
    console.print(f"[bold]{title}[/]")
    for change in changes:
        what = "new" if change.before is None else "gone" if change.after is None else "changed"
        console.print(f"  {what:<8} {change.name}", highlight=False, markup=False)


def _values(title: str, columns: tuple[Any, Any], changes: Sequence[Change]) -> Table:
    named = (f"version {column}" if isinstance(column, int) else column for column in columns)
    table = _table(title, "what", *named)
    for change in changes:
        shown = ("" if value is None else value for value in (change.before, change.after))
        table.add_row(escape(change.name), *map(escape, shown))
    return table


def _table(title: str, *headers: str) -> Table:
    table = Table(*headers, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in table.columns:
        # What is long here, a path or a split, is what is looked for.
        column.overflow = "fold"
    return table


def _short(text: str) -> str:
    """A digest by its first digits; anything else as it is."""
    whole = len(text) >= 64 and all(letter in "0123456789abcdef" for letter in text[:64])
    return text[:DIGITS] + text[64:] if whole else text


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
