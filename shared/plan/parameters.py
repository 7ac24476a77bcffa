"""Parameters of a plan: what the services decide by, each with the clause it comes from.

The only module of the kernel with words of the domain: the plan file is one document, and checked as a whole.
"""

from typing import Annotated

from pydantic import Field, StrictInt

from shared.plan.parts import Code, Name, Natural, Percent, PlanPart


class ParameterSet(PlanPart):
    """What one decision goes by, and the clause of the policy that says so (null where none does)."""

    clause: str | None
    note: Name | None = None


class TrainingSubsidy(ParameterSet):
    """What a training subsidy is raised by: for an industry, and instead of it for a shortage occupation in one."""

    industries: Annotated[tuple[Code, ...], Field(min_length=1)]
    industry_percent: Percent
    shortage_percent: Percent


class PostAllowance(ParameterSet):
    """Monthly amounts by skill level, and for how many months an allowance runs."""

    monthly_fen: Annotated[dict[str, Natural], Field(min_length=1)]
    months: Annotated[StrictInt, Field(gt=0)]


class Honour(PlanPart):
    """An honour, and the ranks of it that count."""

    honour: Code
    ranks: Annotated[tuple[Code, ...], Field(min_length=1)]


class CreditLine(ParameterSet):
    """What all open credit lines of a person may come to, and the honours that open one."""

    cap_fen: Annotated[StrictInt, Field(gt=0)]
    honours: Annotated[tuple[Honour, ...], Field(min_length=1)]


class Waiting(ParameterSet):
    """How long a report waits for what it refers to."""

    days: Annotated[StrictInt, Field(gt=0)]


class Parameters(PlanPart):
    """What the services decide by, each with the clause it comes from."""

    training_subsidy: TrainingSubsidy
    post_allowance: PostAllowance
    credit_line: CreditLine
    waiting: Waiting
