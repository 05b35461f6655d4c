"""Data docs: the contract and how a snapshot fared, as the pages that Great Expectations builds."""

import html
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import great_expectations as gx
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)

from data_contracts.dataset import DatasetContract
from tasks.validation.checks import Checks, RuleResult
from tasks.validation.suite import compile_suite

SITE = "graft"
# The library's own builds its table by scripts from elsewhere, and is blank where there is no network.
INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Data of {contract}</title>
<style>body {{ font: 16px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem }}</style>
<h1>Data of {contract}</h1>
<ul>
{links}
</ul>
</html>
"""


def build_documents(checks: Checks, contract: DatasetContract, now: datetime, output: Path) -> None:
    """Writes a site of static pages to `output`; its `index.html` leads to a page a split, and one of the rules."""
    context = gx.get_context(mode="ephemeral")
    suite = context.suites.add(compile_suite(contract))
    context.add_data_docs_site(
        SITE,
        {
            "class_name": "SiteBuilder",
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(output)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "show_how_to_buttons": False,
        },
    )
    configurations = {_key(made.configuration.type, made.configuration.kwargs): made for made in suite.expectations}
    for split in checks.rows:
        results = [
            _result(rule, configurations[_key(rule.expectation, rule.arguments)].configuration)
            for rule in checks.rules
            # Rules across rows are graft's own, which no expectation stands for.
            if rule.split == split and _key(rule.expectation, rule.arguments) in configurations
        ]
        run = RunIdentifier(run_name=split, run_time=now)
        key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name=suite.name), run, batch_identifier=split)
        context.validation_results_store.set(key, _whole(suite.name, results, run, split))
    context.build_data_docs(site_names=[SITE])
    # Four megabytes of pictures that no page shows.
    shutil.rmtree(output / "static")
    _write_index(checks, contract, output)


def _write_index(checks: Checks, contract: DatasetContract, output: Path) -> None:
    (rules,) = (output / "expectations").rglob("*.html")
    # Of a split whose name cannot be a file's, the library makes none.
    pages = {page.stem: page for page in (output / "validations").rglob("*.html")}
    facts = {
        split: f"{kept} rows, {checks.quarantined.get(split, 0)} in quarantine" for split, kept in checks.rows.items()
    }
    links = [_link(rules, "The rules", output)]
    links += [f"{_link(pages.get(split), split, output)}: {said}" for split, said in facts.items()]
    shown = "\n".join(f"<li>{link}</li>" for link in links)
    index = INDEX.format(contract=html.escape(f"{contract.name} {contract.version}"), links=shown)
    (output / "index.html").write_text(index, encoding="utf-8")


def _link(page: Path | None, title: str, output: Path) -> str:
    if page is None:
        return html.escape(title)
    return f'<a href="{quote(page.relative_to(output).as_posix())}">{html.escape(title)}</a>'


def _result(rule: RuleResult, configuration: Any) -> ExpectationValidationResult:
    share = 100 * rule.broken / rule.checked if rule.checked else 0.0
    return ExpectationValidationResult(
        success=rule.broken == 0,
        expectation_config=configuration,
        result={
            "element_count": rule.checked,
            "unexpected_count": rule.broken,
            "unexpected_percent": share,
            "unexpected_percent_nonmissing": share,
            # The library writes what it is given into its pages as it is.
            "partial_unexpected_list": [html.escape(example) for example in rule.examples],
        },
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _whole(suite: str, results: list[Any], run: RunIdentifier, split: str) -> ExpectationSuiteValidationResult:
    met = sum(result.success for result in results)
    return ExpectationSuiteValidationResult(
        success=met == len(results),
        results=results,
        suite_name=suite,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": met,
            "unsuccessful_expectations": len(results) - met,
            "success_percent": 100 * met / len(results) if results else None,
        },
        meta={
            "run_id": run,
            "great_expectations_version": gx.__version__,
            "batch_spec": {},
            "batch_markers": {},
            "active_batch_definition": {
                "datasource_name": "snapshot",
                "data_connector_name": "fluent",
                "data_asset_name": split,
                "batch_identifiers": {},
            },
            "validation_id": None,
            "checkpoint_id": None,
        },
    )


def _key(kind: str, arguments: dict[str, Any]) -> tuple[str, str]:
    return kind, repr(sorted((name, value) for name, value in arguments.items() if name != "batch_id"))
