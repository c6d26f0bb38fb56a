"""What the documents show: commands in code blocks and in the text, pipelines, links, and entries of methods."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("sample_data/*.md"),
    ]
)
OTHERS = sorted(
    [
        *(path for path in ROOT.glob("docs/recipes/**/*") if path.is_file() and path.suffix != ".md"),
        *ROOT.glob("configs/*.yaml"),
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_RUN_OR_READ = {"console", "python", "yaml", "json", "text"}


def named(path: Path) -> str:
    """How a test calls a file."""
    return str(path.relative_to(ROOT))


def sessions(page: Path) -> Iterator[tuple[str, str]]:
    """The commands of each console block, with what the page says they print; `> ` goes on with a command."""
    for language, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] if language == "console" else []:
            command, output = re.fullmatch(r"([^\n]*\n(?:> [^\n]*\n)*)(.*)", part, re.DOTALL).groups()
            yield re.sub(r"\n> ", "\n", command).rstrip("\n"), output


def fenced(page: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return [block for name, block in _FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of each `datadiet` that a page shows but does not run."""
    text = page.read_text(encoding="utf-8")
    blocks = [block for language, block in _FENCE.findall(text) if language not in _RUN_OR_READ]
    prose = _FENCE.sub("", text)
    indented = [line.strip() for line in prose.splitlines() if line.startswith("    ")]
    for line in [*"\n".join([*blocks, *indented]).replace("\\\n", " ").splitlines()]:
        yield from called(line.strip().removeprefix("$ "))
    for span in re.findall(r"`(datadiet [^`]+)`", prose.replace("\n", " ")):
        # What is optional stands in brackets there, and a choice between bars.
        yield from called(re.sub(r"(\w+)(?:\\?\|\w+)+", r"\1", re.sub(r"\[[^\]]*\]", "", span)))


def commands_in_file(path: Path) -> Iterator[list[str]]:
    """The same of a file that is no page: a recipe, or the comments of a configuration."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"(?:^|[\s\"'@])(datadiet (?:[a-z]+(?:-[a-z]+)*) [^\n]*)", text):
        yield from called(line.rstrip("\"'"))


def called(line: str) -> Iterator[list[str]]:
    """The arguments of each call of `datadiet` in a line of shell: behind pipes, and, or, and variables."""
    if "datadiet " not in line:
        return
    words = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    words.whitespace_split, words.commenters = True, "#"
    part: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set("();|&"):
            yield from _call(part)
            part = []
        else:
            part.append(word)


def _call(words: list[str]) -> Iterator[list[str]]:
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] in ("!", "exec")):
        words = words[1:]
    if words and words[0].rpartition("/")[2] == "datadiet":
        # A redirection takes a number before it, and a word behind it.
        kept: list[str] = []
        for word in words[1:]:
            if kept and re.fullmatch("[<>&]+", kept[-1]):
                kept.pop()
                if kept and kept[-1] in ("1", "2"):
                    kept.pop()
            else:
                kept.append(word)
        yield kept


def slugs(page: Path) -> set[str]:
    """The anchors of the headings of a page, as they are made where it is shown."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def entries(page: Path) -> dict[str, dict[str, str]]:
    """By section named for a setting, by name of a choice: what the page says of it, in its part or its row."""
    found: dict[str, dict[str, str]] = {}
    for part in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title = re.match(r"`([^`]+)`\n", part)
        if title:
            by_heading = re.split(r"^### `([^`]+)`\n", part, flags=re.MULTILINE)[1:]
            section = dict(zip(by_heading[::2], by_heading[1::2], strict=True))
            section |= {row[1]: row[0] for row in re.finditer(r"^\| `([^`]+)` \|.*$", part, re.MULTILINE)}
            found[title[1]] = section
    return found
