"""The one way the local stack says no: one sentence that says what to do, in Chinese and in English."""

from __future__ import annotations


class LocalError(Exception):
    """Say why `make up` cannot go on and what the person can do about it."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh}\n{en}")
        self.zh = zh
        self.en = en
