"""Reports of an audit: as facts for machines, and as a page of HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.learning.audit.finding import SEVERITIES, Finding
from impasto.learning.manifest import Manifest

FORMATS = (".html", ".json")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {root}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
.error {{ color: #b00020 }} .warning {{ color: #8a5a00 }} .note {{ color: #555 }}
ul {{ font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere }}</style></head>
<body><h1>Audit</h1><p>{root}: {count} pictures. {summary}</p>
{findings}
</body></html>
"""
_MOST = 200  # clusters of a finding that the page lists


def facts(manifest: Manifest, findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as JSON says them, with paths for rows."""
    paths = manifest.paths
    return {
        "root": str(manifest.root),
        "pictures": len(manifest),
        "manifest_sha256": manifest.sha256,
        **{severity + "s": sum(one.severity == severity for one in findings) for severity in SEVERITIES},
        "findings": [
            {
                "check": one.check,
                "severity": one.severity,
                "message": one.message,
                "rows": list(one.rows),
                "paths": [paths[row] for row in one.rows],
                "clusters": [list(cluster) for cluster in one.clusters],
            }
            for one in findings
        ],
    }


def summary(findings: Sequence[Finding]) -> str:
    """How many of each severity, in words.

    >>> summary([])
    'nothing found'
    """
    counts = {severity: sum(one.severity == severity for one in findings) for severity in SEVERITIES}
    words = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items() if count]
    return ", ".join(words) or "nothing found"


def require_format(path: Path) -> None:
    """Refuse a report's file before the work if it cannot be written.

    Raises:
        UsageError: Its suffix is none of ``FORMATS``.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: a report is written as {' or '.join(FORMATS)}; name it so")


def write_report(path: Path, manifest: Manifest, findings: Sequence[Finding]) -> None:
    """Write a report as HTML or JSON, as the suffix says.

    Raises:
        UsageError: Another suffix.
        ImpastoError: The disk is full.
    """
    require_format(path)
    if path.suffix.lower() == ".json":
        text = json.dumps(facts(manifest, findings), indent=1, ensure_ascii=False)
    else:
        text = _PAGE.format(
            root=html.escape(str(manifest.root)),
            count=f"{len(manifest):,}",
            summary=html.escape(summary(findings)),
            findings="\n".join(_section(manifest.paths, one) for one in findings),
        )
    replace_file(path, text.encode("utf-8", "surrogateescape"))


def _section(paths: Sequence[str], finding: Finding) -> str:
    title = f'<h2 class="{finding.severity}">{finding.severity}: {html.escape(finding.check)}</h2>'
    clusters = finding.clusters or tuple((row,) for row in finding.rows)
    items = [f"<li>{html.escape(' ≈ '.join(paths[row] for row in one))}</li>" for one in clusters[:_MOST]]
    if len(clusters) > _MOST:
        items.append(f"<li>… and {len(clusters) - _MOST:,} more (the JSON report has all)</li>")
    details = f"<details><summary>{len(finding.rows):,} pictures</summary><ul>{''.join(items)}</ul></details>"
    return f"{title}<p>{html.escape(finding.message)}</p>{details if items else ''}"
