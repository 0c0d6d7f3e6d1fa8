# The tasks of the project: `just test`, `just lint`, `just docs`.

default:
    @just --list

test *arguments:
    uv run pytest {{arguments}}

lint:
    uv run ruff check --fix .
    uv run ruff format .
    uv run mypy

# benchmarks print one table each; they need ../shared (or IMPASTO_DATA)
bench name *arguments:
    uv run python benchmarks/{{name}}.py {{arguments}}

docs:
    uv run --group docs mkdocs serve

docs-build:
    uv run --group docs mkdocs build --strict

# train the embedded network again (resumes where it was stopped)
pocket *arguments:
    uv run python recipes/pocket.py {{arguments}}

ci:
    .ci/run
