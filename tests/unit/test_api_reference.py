"""docs/api.md and docs/settings.md, compared with the code.

`python -m tests.unit.test_api_reference` writes docs/api.md.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.config import Settings
from tests.support.service import ROOT

PAGE = ROOT / "docs/api.md"
SETTINGS = ROOT / "docs/settings.md"
HEAD = """# API

Generated from the OpenAPI document by `python -m tests.unit.test_api_reference`.
[request.md](request.md) explains the main request, [choosing.md](choosing.md) its
filters and pages. Every error is an `ErrorResponse`.
"""
REF = re.compile(r"^#/components/schemas/")
# In a process of its own: building the application changes this one.
DOCUMENT = "import json; from app.main import app; print(json.dumps(app.openapi()))"


def document() -> dict[str, Any]:
    """The OpenAPI document with the default settings."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DOCUMENT],
        cwd=ROOT,
        env={"DATABASE_URL": "postgresql://", "ENV_FILE": "/dev/null"},
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rendered(openapi: Mapping[str, Any]) -> str:
    return "\n".join([HEAD, *_operations(openapi), *_schemas(openapi)])


def _operations(openapi: Mapping[str, Any]) -> Iterator[str]:
    yield "## Operations\n"
    yield "| operation | | body | answer | errors |"
    yield "| --- | --- | --- | --- | --- |"
    for path, methods in openapi["paths"].items():
        for method, each in methods.items():
            content = each.get("requestBody", {}).get("content", {})
            body = _type(_only(content)) if content else ""
            answer = _type(_only(each["responses"]["200"]["content"]))
            errors = sorted(code for code in each["responses"] if code >= "400")
            yield (
                f"| `{each['operationId']}`<br>{each['description']}"
                f" | `{method.upper()} {path}` | {body} | {answer}"
                f" | {', '.join(errors)} |"
            )


def _schemas(openapi: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        yield f"\n## {name}\n"
        yield f"{schema['description']}\n"
        yield "| field | type | |"
        yield "| --- | --- | --- |"
        required = schema.get("required", [])
        for field, each in schema["properties"].items():
            mark = "" if field in required else " (optional)"
            text = " ".join(each.get("description", "").split())
            yield f"| `{field}` | {_type(each)}{mark} | {text} |"


def _only(content: Mapping[str, Any]) -> Mapping[str, Any]:
    (media,) = content.values()
    schema: Mapping[str, Any] = media.get("schema", {})
    return schema


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = REF.sub("", schema["$ref"])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind: str = schema.get("type", "object")
    return kind


def test_the_reference_is_that_of_the_code() -> None:
    expected = rendered(document())
    assert PAGE.read_text() == expected, "run python -m tests.unit.test_api_reference"


def test_every_field_and_endpoint_is_explained() -> None:
    openapi = document()
    page = (ROOT / "docs/request.md").read_text()
    fields = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(fields) == sorted(
        openapi["components"]["schemas"]["RecommendRequest"]["properties"]
    )
    explained = re.findall(r"^\| `([A-Z]+ \S+)` \|", page, re.MULTILINE)
    found = {
        f"{method.upper()} {path}"
        for path, methods in openapi["paths"].items()
        for method in methods
    }
    assert {"POST /api/recommend", *explained} == found | {"GET /", "GET /docs"}


def rows_of_settings() -> Mapping[str, str]:
    """The documented default by setting."""
    found = {}
    for line in SETTINGS.read_text().splitlines():
        if line.startswith("| `"):
            _, names, defaults, *_ = (cell.strip() for cell in line.split("|"))
            pairs = zip(names.split(", "), defaults.split(", "), strict=True)
            found.update(
                {name.strip("`"): default.strip("`") for name, default in pairs}
            )
    return found


def test_every_setting_is_documented_once() -> None:
    documented = SETTINGS.read_text()
    assert rows_of_settings().keys() == {n.upper() for n in Settings.model_fields}
    for name in rows_of_settings():
        assert documented.count(f"| `{name}`") + documented.count(f", `{name}` |") == 1


# What a person reads instead of the value itself.
IN_WORDS = {
    "DATABASE_URL": "required",
    "MODEL_DIR": "models/NAME",
    "JOBS_TABLE": "skill_job1",
    "USERS_TABLE": "users",
    "JOB_COLUMNS": "none",
    "TITLE_COLUMN": "none",
    "FRESHNESS_COLUMN": "none",
    "BOOST_COLUMN": "none",
    "EXPIRY_COLUMN": "none",
    "MAX_PER": "none",
    "INTERLEAVE": "none",
    "ALERT_WEBHOOK_SECRET": "none",
    "API_KEYS": "open",
    "CORS_ORIGINS": "off",
}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_documented_default_is_that_of_the_code(name: str) -> None:
    shown = rows_of_settings()[name.upper()]
    default = Settings.model_fields[name].default
    expected = str(default).lower() if isinstance(default, bool) else str(default)
    if isinstance(default, float):
        expected = f"{default:g}"
    assert shown == IN_WORDS.get(name.upper(), expected)


if __name__ == "__main__":
    PAGE.write_text(rendered(document()))
