"""Reads the file with the values of an installation, and refuses in one sentence what is wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from deploy.local.refusal import LocalError

M = TypeVar("M", bound=BaseModel)


class ValuesRefused(LocalError):
    """The file says something that cannot be."""


def read_values(file: Path, model: type[M], context: dict[str, object] | None = None) -> M:
    """Read the values; raises ValuesRefused. `context`: what the model's validators need to know besides."""
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")), context=context)
    except OSError as error:
        raise ValuesRefused(f"读不了 {file}:{error.strerror}。", f"{file} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise ValuesRefused(f"{file} 不是 YAML。", f"{file} is no YAML: {' '.join(str(error).split())}") from None
    except ValidationError as invalid:
        wrong = "; ".join(f"{'.'.join(map(str, fault['loc'])) or '–'}: {fault['msg']}" for fault in invalid.errors())
        raise ValuesRefused(f"{file} 有误:{wrong}", f"{file} is wrong: {wrong}") from None
