"""Read params.yaml: the same values as DVC, and one line per invalid value."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from unetseg.config import AugmentSettings, ImageSettings, ModelSettings, Params, TrainSettings
from unetseg.errors import InputError, first_line

LARGEST = 1_000_000  # bytes
DEEPEST = 16  # nesting depth; params.yaml needs two

Keys = tuple[str, ...]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml with the values that DVC sees (YAML 1.2: `1e-3` is a number, `yes` is text).

    Raises:
        InputError: with one line per invalid value: its line in the file, its key and the rule.
    """
    return Params.model_validate(_read(path, partial=False))


def read_preset(path: Path) -> dict[str, Any]:
    """Read some values of params.yaml, by their dotted names, from a file of the same form.

    Raises:
        InputError: with one line per unknown key and invalid value.
    """
    sections = _read(path, partial=True)
    return {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}


def _read(path: Path, *, partial: bool) -> dict[str, Any]:
    content, lines = _parse(path)
    told = [
        (lines.get(keys) or lines.get(keys[:1], 1), message)  # the section's line where the key is missing
        for keys, message in _problems(content, partial)
    ]
    if told:
        raise InputError(*(f"{path}:{line}: {message}" for line, message in sorted(told)))
    return content


def _parse(path: Path) -> tuple[dict[str, Any], dict[Keys, int]]:
    """Read a YAML file of sections, and the line of each section and key."""
    try:
        text = _text(path)
        try:
            node, content = _load(text, _StrictLoader if "\t" in text else _Loader)
        except yaml.MarkedYAMLError:
            _load(text, _StrictLoader)  # which says what character is wrong
            raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not usable YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {first_line(error)}") from error
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}: has no sections; it needs {', '.join(Params.model_fields)}")
    lines: dict[Keys, int] = {}
    for section, values in node.value:
        lines[section.value,] = section.start_mark.line + 1
        for key, _ in values.value if isinstance(values, yaml.MappingNode) else []:
            lines[section.value, key.value] = key.start_mark.line + 1
    return content, lines


def _load(text: str, loader: type[Any]) -> tuple[yaml.Node | None, Any]:
    _refuse_extras(text, loader)
    loaded = loader(text)
    node = loaded.get_single_node()
    return node, loaded.construct_document(node) if node else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"{path}: over {LARGEST} bytes, too large for a params.yaml")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: it is not UTF-8 text") from error


def _refuse_extras(text: str, loader: type[Any]) -> None:
    """Refuse YAML features that parameters do not need and that can exhaust memory."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=loader):
        problem = None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problem = "anchors and aliases are not allowed, write the values out"
        elif getattr(event, "tag", None) or getattr(event, "version", None):
            problem = "tags and versions are not allowed"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            problem = f"more than {DEEPEST} levels"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Rules(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """YAML 1.2 as ruamel.yaml resolves it for DVC; PyYAML's own rules are those of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's name; filled below

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse keys that are not plain names, and keys that occur twice: YAML does not define which one counts."""
        seen = set()
        for key, _ in node.value:
            problem = None
            if key.tag != "tag:yaml.org,2002:str":
                problem = f"{str(key.value)[:40]} is no name of a value"
            elif key.value in seen:
                problem = f"{key.value} occurs twice"
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        return content

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Add the line to the error for a number or date that Python cannot represent."""
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"{node.value[:40]!r} is no number and no date"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """Read an integer; a leading zero does not make it octal."""
        text = node.value.replace("_", "")
        return int(text, {"0b": 2, "0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10))


for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("float", r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+([eE][-+][0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("int", "[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9_]+)", "-+0123456789"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
    ("timestamp", "[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789"),
):
    for _character in _first:
        _rules = _Rules.yaml_implicit_resolvers.setdefault(_character, [])
        _rules.insert(0, (f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$")))
_Rules.yaml_constructors = _Rules.yaml_constructors | {"tag:yaml.org,2002:int": _Rules.construct_whole_number}


class _Loader(_Rules, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # libyaml, where it is there
    """The quick one."""


class _StrictLoader(_Rules, yaml.SafeLoader):
    """Refuses tabs that libyaml takes, as what DVC writes params.yaml with does, and names the character it refuses."""


def _problems(content: dict[str, Any], partial: bool) -> Iterator[tuple[Keys, str]]:
    """Check section by section, so that one invalid section does not hide other errors."""
    sections: dict[str, Any] = {}
    for name in content.keys() - Params.model_fields.keys():
        yield (name,), f"{name}: unknown section; there are {', '.join(Params.model_fields)}"
    for name, field in Params.model_fields.items():
        if name in content:
            try:
                sections[name] = pydantic.TypeAdapter(field.rebuild_annotation()).validate_python(content[name])
            except pydantic.ValidationError as error:
                found: dict[Keys, list[Any]] = defaultdict(list)  # several for a value that may be of two types
                for detail in error.errors():
                    if not (partial and detail["type"] == "missing"):
                        found[name, *map(str, detail["loc"][:1])].append(detail)
                yield from ((keys, _message(keys, details)) for keys, details in found.items())
        elif not partial:
            yield (name,), f"{name}: this section is missing"
    for key, rule in _problems_between(**sections):
        section, name = key.split(".")
        yield (section, name), f"{key}: {getattr(sections[section], name):g} {rule}"


def _problems_between(
    image: ImageSettings | None = None,
    model: ModelSettings | None = None,
    train: TrainSettings | None = None,
    augment: AugmentSettings | None = None,
    **_others: Any,
) -> Iterator[tuple[str, str]]:
    if image and model:
        rule = f"must be divisible by model.stem_stride * 2^model.depth = {model.divisor}"
        if image.size % model.divisor:
            yield "image.size", rule
        if train and train.crop_epochs and (train.crop % model.divisor or train.crop > image.size):
            yield "train.crop", f"{rule} and at most image.size"
    if augment and model and not model.standardize:
        if augment.negative:
            yield "augment.negative", "needs model.standardize: true; other models see both polarities alike"
        if augment.statistics:
            yield "augment.statistics", "needs model.standardize: true; other models use no mean and deviation"


def _message(keys: Keys, details: Sequence[Any]) -> str:
    name, detail = ".".join(keys), details[0]
    if detail["type"] == "extra_forbidden":
        return f"{name}: unknown key"
    if detail["type"] == "missing":
        return f"{name}: this key is missing"
    rules = [each["msg"].removeprefix("Value error, ") for each in details]
    if len(keys) == 1:
        return f"{name}: {rules[0]}"
    rule = " or ".join(each[0].lower() + each[1:] for each in rules).replace(" or input should", " or")
    return f"{name}: {repr(detail['input'])[:60]}: {rule}"
