"""Read params.yaml and say of every value that cannot be used where it stands and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from unetseg.errors import InputError
from unetseg.params import Image, Model, Params, Train


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml as DVC reads it (YAML 1.2: `1e-3` is a number, `yes` is text).

    Raises:
        InputError: with a line for each value that cannot be used, naming its line in the file, its key and the rule.
    """
    content = _read_yaml(path)
    problems = [*_section_problems(content)]
    if problems:
        raise InputError("\n".join(f"{path}:{line}: {message}" for line, message in sorted(problems)))
    return Params.model_validate(_plain(content))


def read_preset(path: Path) -> dict[str, Any]:
    """Read some values of params.yaml, by their dotted names, from a file of the same form.

    Raises:
        InputError: naming a key that params.yaml does not have, or a value that is no plain one.
    """
    values = {}
    for section, keys in _plain(_read_yaml(path)).items():
        field = Params.model_fields.get(section)
        known = getattr(field.annotation, "model_fields", {}) if field else {}
        for key, value in keys.items() if isinstance(keys, dict) else [("", keys)]:
            if key not in known or not isinstance(value, bool | int | float | str):
                raise InputError(f"{path}: {section}.{key}: no value of params.yaml")
            values[f"{section}.{key}"] = str(value).lower() if isinstance(value, bool) else value
    return values


def _read_yaml(path: Path) -> CommentedMap:
    try:
        content = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: it is not UTF-8 text") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not YAML: {error.problem}") from error
    except YAMLError as error:
        raise InputError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, CommentedMap):
        raise InputError(f"{path}: has no sections; needed are {', '.join(Params.model_fields)}")
    return content


def _section_problems(content: CommentedMap) -> Iterator[tuple[int, str]]:
    """Check section by section, so that one bad section does not hide what is wrong between two others."""
    sections: dict[str, Any] = {}
    for name in content:
        if name not in Params.model_fields:
            yield _line(content, (name,)), f"{name}: unknown section; there are {', '.join(Params.model_fields)}"
    for name, field in Params.model_fields.items():
        if name not in content:
            yield 1, f"{name}: this section is missing"
            continue
        try:
            sections[name] = field.annotation.model_validate(_plain(content[name]))  # type: ignore[union-attr]
        except pydantic.ValidationError as error:
            for detail in error.errors():
                keys = (name, *detail["loc"][:1])
                yield _line(content, keys), _message(keys, detail)
    for key, rule in _problems_between(**sections):
        section, name = key.split(".")
        yield _line(content, (section, name)), f"{key}: {getattr(sections[section], name):g} {rule}"


def _problems_between(
    image: Image | None = None, model: Model | None = None, train: Train | None = None, **_others: Any
) -> Iterator[tuple[str, str]]:
    if image and model:
        divisor = model.stem_stride * 2**model.depth
        rule = f"must be divisible by model.stem_stride * 2^model.depth = {divisor}"
        if image.size % divisor:
            yield "image.size", rule
        if train and train.crop_epochs and (train.crop % divisor or train.crop > image.size):
            yield "train.crop", f"{rule} and at most image.size"
    if image and train and image.mode == "tiles" and train.border:
        yield "train.border", "needs image.mode: resize; tiles have no label maps"


def _message(keys: tuple[Any, ...], detail: Any) -> str:
    name = ".".join(str(key) for key in keys)
    if detail["type"] == "extra_forbidden":
        return f"{name}: unknown key"
    if detail["type"] == "missing":
        return f"{name}: this key is missing"
    rule = detail["msg"].removeprefix("Value error, ")
    return f"{name}: {rule}" if len(keys) == 1 else f"{name}: {detail['input']!r}: {rule[0].lower() + rule[1:]}"


def _line(content: CommentedMap, keys: tuple[Any, ...]) -> int:
    """Find the line of a key, or of its section where the key is missing."""
    line, here = 0, content
    for key in keys:
        if not isinstance(here, CommentedMap) or key not in here:
            break
        line, here = here.lc.key(key)[0], here[key]
    return line + 1


def _plain(value: Any) -> Any:
    """Turn ruamel's types, which remember their notation, into Python's own."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
