"""Data docs: the contract and how a snapshot fared, as the pages that Great Expectations builds."""

import html
from datetime import datetime
from pathlib import Path
from typing import Any

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
