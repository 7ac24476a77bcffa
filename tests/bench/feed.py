"""Makes reports as districts send them, each of another person under another contract, as ready bytes."""

from __future__ import annotations

import functools

from tests.harness.people import credit_code, number_of
from tests.harness.processes import DISTRICTS

SERVICE = "recruitment"
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
_ENTERPRISES = 500
_credit_code = functools.cache(credit_code)


def district_of(index: int) -> str:
    """Return the district of the index-th report."""
    return DISTRICTS[index % len(DISTRICTS)]


def subject_of(index: int, run: str) -> str:
    """Return the subject of the index-th report."""
    return f"hire/{run}-{index}"


def hire(index: int, run: str) -> bytes:
    """Return the index-th report of a run as a structured CloudEvent."""
    district = district_of(index)
    day = f"2024-{index % 12 + 1:02}-{index % 28 + 1:02}"
    return (
        f'{{"specversion":"1.0","id":"{run}-{index}","source":"/districts/{district}/hr",'
        f'"type":"skillplan.recruitment.person-hired.v1","subject":"hire/{run}-{index}",'
        f'"time":"{day}T09:30:00+08:00","district":"{district}","datacontenttype":"application/json",'
        f'"data":{{"person":{{"id_number":"{number_of(index)}","name":"王建国","phone":"199{index:08}"}},'
        f'"enterprise":{{"credit_code":"{_credit_code(index % _ENTERPRISES)}","name":"样本机构 Sample"}},'
        f'"channel":"gold-blue-collar","occupation_code":"6-18-01-01","level":"3","hired_on":"{day}"}}}}'
    ).encode()


def batch(first: int, count: int, run: str) -> bytes:
    """Return several reports as one CloudEvents batch."""
    return b"[" + b",".join(hire(index, run) for index in range(first, first + count)) + b"]"
