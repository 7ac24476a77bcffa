"""Parts of a plan file: codes, numbers, texts in both languages, and how a part is refused."""

from typing import Annotated, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
District6 = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
CreditCode18 = Annotated[str, Field(pattern=r"^[0-9A-HJ-NPQRTUWXY]{18}$")]
Text = Annotated[str, Field(min_length=1)]
FactType = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z]+(-[a-z]+)*$", examples=["recruitment.person-hired"])]
FieldPath = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$", examples=["enterprise"])]
Scalar = StrictStr | StrictBool | StrictInt
Natural = Annotated[StrictInt, Field(ge=0)]
Percent = Annotated[StrictInt, Field(ge=0, le=1000)]
OfExpected = Annotated[StrictInt, Field(gt=0, le=100)]


def refuse(zh: str, en: str) -> NoReturn:
    """Refuse a part; the texts say in both languages what was expected."""
    raise PydanticCustomError("plan", "{zh}; {en}", {"zh": zh, "en": en})


class PlanPart(BaseModel):
    """A closed object of the plan file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Name(PlanPart):
    """A text in both languages."""

    zh: Text
    en: Text
