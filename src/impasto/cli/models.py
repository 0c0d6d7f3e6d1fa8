"""impasto models: the models that come with impasto, and what their cards say."""

from __future__ import annotations

from typing import Any

from impasto.cli.terminal import QUIET, Voice, say, say_table


def models(name: str | None = None, /, *, voice: Voice = QUIET) -> None:
    """List the models that come with impasto, for `impasto enhance`; with a NAME, show its card.

    A card says what a model was trained on and how, what it is worth, its licence and its limits. A run of `impasto
    train enhance`, or a file of one, has a card too.

    Examples:

        impasto models
        impasto models superres-x2
        impasto models runs/202611211200-train-enhance-photos-restore

    Parameters
    ----------
    name
        A model.
    voice
        How to speak.
    """
    if name is None:
        _list(voice)
    else:
        _show(name, voice)


def _list(voice: Voice) -> None:
    from impasto.translation.model import card_of, shipped

    rows = []
    for name, path in shipped().items():
        facts = card_of(name)
        rows.append(
            {
                "name": name,
                "task": facts["task"],
                "scale": facts["scale"],
                "megabytes": round(path.stat().st_size / 1e6, 1),
                "figures": _figures(facts["card"]),
                "licence": facts["card"].get("licence", "?"),
                "about": facts["card"].get("about", ""),
            }
        )
    if voice.json:
        say("", voice, models=rows)
        return
    if rows:
        shown = ("name", "figures", "about")
        say_table(shown, ([row[column] for column in shown] for row in rows), whole={"name"})
    say("and runs of `impasto train enhance`, their files, and with spandrel those of other projects")


def _show(name: str, voice: Voice) -> None:
    import yaml

    from impasto.translation.model import load

    model = load(name)
    facts: dict[str, Any] = {
        "name": model.name,
        "task": model.task,
        "scale": model.scale,
        "parameters": model.parameters,
        "architecture": model.architecture,
        "degraded by": model.recipe,
        "classes": list(model.classes),
        **model.card,
        "sha256": model.sha256,
    }
    facts = {key: value for key, value in facts.items() if value not in (None, [], {}, ())}
    say(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=110).rstrip(), voice, **facts)


def _figures(card: dict[str, Any]) -> str:
    """What a card says that the model is worth, in a few words."""
    figures = card.get("figures") or card.get("validation") or {}
    if isinstance(figures, str):
        return figures
    shown = (f"{name} {value:.4g}" for name, value in figures.items() if name != "loss")
    return ", ".join(shown)
