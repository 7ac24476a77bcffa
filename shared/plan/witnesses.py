"""Whose cosignatures a plan asks for before a month closes, and how the key of a witness is written."""

import base64
import hashlib
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StrictInt, StrictStr, model_validator

from shared.plan.parts import Name, PlanPart, refuse

COSIGNATURE: Final = b"\x04"  # the signature type of C2SP tlog-cosignature, Ed25519 with a time
_PUBLIC: Final = 32


def public_key(verifier_key: str) -> tuple[str, bytes, bytes]:
    """Return name, id and Ed25519 public key of a witness by its verifier key; raises ValueError for anything else.

    C2SP signed-note: `<name>+<id, 8 hex digits>+<base64 of the type 4 and the key>`.
    """
    name, _, rest = verifier_key.partition("+")
    id_, _, encoded = rest.partition("+")
    raw = base64.b64decode(encoded, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if not name or any(sign.isspace() for sign in name) or raw[:1] != COSIGNATURE or len(raw) != 1 + _PUBLIC:
        raise ValueError("no key of a witness")
    if id_ != expected.hex():
        raise ValueError("the key's id is another")
    return name, expected, raw[1:]


def _written_well(verifier_key: str) -> str:
    try:
        public_key(verifier_key)
    except ValueError:
        refuse("见证的验证公钥:名称+编号+base64(skillplan witness 启动时显示)",
               "a witness's verifier key, name+id+base64, as `skillplan witness` prints it at its start")  # fmt: skip
    return verifier_key


class Witness(PlanPart):
    """Somebody who cosigns checkpoints of the logs: a district, the audit bureau."""

    name: Name
    key: Annotated[StrictStr, AfterValidator(_written_well)]


class Witnesses(PlanPart):
    """Of how many of these a month needs the cosignatures to be closed."""

    needed: Annotated[StrictInt, Field(ge=1)]
    of: Annotated[tuple[Witness, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _there_are_so_many(self) -> Self:
        if self.needed > len({witness.key for witness in self.of}):
            refuse("needed 不大于不同的见证数", "needed that is not above the number of different witnesses")
        return self
