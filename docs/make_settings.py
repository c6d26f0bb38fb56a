"""Write docs/settings.md, the reference of every setting, from the models that define them."""

from pathlib import Path

from datadiet_cli.config.base import Common, Settings, form_of
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.config.schema import step_schema

HEAD = """# Settings

Every setting is a key in YAML, a flag (`max_distance` is `--max-distance`, a switch has `--no-` too) and an
environment variable (`DATADIET_SEED`; for a step `DATADIET_DEDUP_METHOD`). A flag overrules the environment, that the
YAML file, and that the default. A share is written `5%` or `0.05`. `DATADIET_CACHE_DIR` names the folder where
decisions are remembered, instead of the user's cache folder. This page is made from the code: `make schemas`.
"""


def main() -> None:
    """Write the page beside this script."""
    parts = [HEAD]
    for name, spec in STEPS.items():
        parts.append(f"## {name}\n\n{spec.summary}.\n\n{table(settings_of(name), name)}")
    parts.append(
        f"## Every command\n\nAt the top level of a pipeline, beside a step's own in its file.\n\n{table(Common)}"
    )
    (Path(__file__).parent / "settings.md").write_text("\n".join(parts), encoding="utf-8")


def table(model: type[Settings], step: str = "dedup") -> str:
    """The settings of a model as a Markdown table."""
    properties = step_schema(step)["properties"]
    defaults = model.model_construct().model_dump(mode="json")
    lines = ["| setting | default | values | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = defaults[name]
        shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        lines.append(f"| `{name}` | {shown} | {values(properties[name], field)} | {field.description} |")
    return "\n".join([*lines, ""])


def values(schema: dict, field: object) -> str:
    """What a setting may be, in words."""
    form = form_of(field)
    options = schema.get("enum") or next((part["enum"] for part in schema.get("anyOf", []) if "enum" in part), None)
    if options:
        return ", ".join(f"`{option}`" for option in options)
    kind = (
        "a share"
        if form.is_share
        else {bool: "true or false", int: "a whole number", float: "a number"}.get(form.type, "text")
    )
    bounds = [
        f"from {form.lowest}" if form.lowest is not None else "",
        f"to {form.highest}" if form.highest is not None else "",
    ]
    return " ".join([f"list of {kind}" if form.many else kind, *filter(None, bounds)])


if __name__ == "__main__":
    main()
