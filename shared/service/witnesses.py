"""Has a log's checkpoints cosigned by witnesses elsewhere (C2SP tlog-witness) while deciding and sending go on."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urldefrag

import httpx
import structlog

from shared.http import client as http_client
from shared.log.checkpoints import LogSigner
from shared.log.cosignatures import SIZE_TYPE, Cosigner, Malformed, Submission, number_of, read_checkpoint, submission
from shared.log.tree_store import NotInTree, TreeReader
from shared.observability.health import ConfigurationError
from shared.observability.unavailable import UNAVAILABLE
from shared.service.parts import Parts

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_PATIENCE: Final = 5.0  # for one witness; the others' cosignatures wait for it
_MOST_BYTES: Final = 4096
_PART: Final = "witnesses"
_log = structlog.get_logger()


class _Refused(Exception):
    """A witness has given no cosignature; the text says why."""


class _Witness:
    """A witness as the log sees it: where it answers, and how much of the log it has cosigned."""

    def __init__(self, address: str) -> None:
        url, key = urldefrag(address)
        self.url = url.rstrip("/") + "/add-checkpoint"
        self.key = Cosigner(key)
        self.size = 0
        self._last = ("", "")  # the checkpoint that it cosigned last, and its line
        self._away: tuple[float, float, _Refused] | None = None  # from when on it is asked again, the pause, and why

    async def line(self, client: httpx.AsyncClient, tree: TreeReader, note: str) -> str:
        """Return this witness's line for a checkpoint; raises _Refused, for a while without asking it again."""
        now = asyncio.get_running_loop().time()
        if self._last[0] != note:
            if self._away and now < self._away[0]:
                raise self._away[2]
            try:
                self._last = note, await self._cosign(client, tree, note)
            except _Refused as why:
                pause = min(2 * self._away[1], _LONGEST_PAUSE) if self._away else _PAUSE
                self._away = now + pause, pause, why
                raise
            self._away = None
        return self._last[1]

    async def _cosign(self, client: httpx.AsyncClient, tree: TreeReader, note: str) -> str:
        head = read_checkpoint(note)
        response = await self._ask(client, tree, head.size, note)
        if response.status_code == HTTPStatus.CONFLICT and response.headers.get("content-type") == SIZE_TYPE:
            # It has cosigned another size than we remember: after our start, or by another process of ours.
            try:
                self.size = number_of(response.text.removesuffix("\n"))
            except Malformed:
                raise _Refused("answers no size") from None
            if self.size > head.size:
                raise _Refused(f"has cosigned {self.size} facts already; the log has {head.size}")
            response = await self._ask(client, tree, head.size, note)
        if response.status_code != HTTPStatus.OK:
            raise _Refused(f"answers {response.status_code}")
        if (cosigned := self.key.cosigned_at(head.text, response.text.splitlines())) is None:
            raise _Refused("gives no cosignature by its key")
        self.size = head.size
        return cosigned[0]

    async def _ask(self, client: httpx.AsyncClient, tree: TreeReader, size: int, note: str) -> httpx.Response:
        _, proof = await tree.consistency(min(self.size, size), size)
        body = submission(Submission(min(self.size, size), proof, note))
        try:
            async with client.stream("POST", self.url, content=body.encode()) as response:
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > _MOST_BYTES:
                        raise _Refused("answers too much")
                return httpx.Response(response.status_code, headers=response.headers, content=bytes(content))
        except httpx.HTTPError as error:
            raise _Refused(f"does not answer ({type(error).__name__})") from None


class Witnessing:
    """Submits the checkpoints of one log to its witnesses, and keeps the latest that enough of them have cosigned.

    A witness that is away is asked again, and `/readyz` warns; what is decided and sent waits for none of them.
    """

    def __init__(self, parts: Parts, signer: LogSigner | None, addresses: str) -> None:
        """`addresses`: as in SKILLPLAN_WITNESSES; raises ConfigurationError."""
        try:
            self._witnesses = [_Witness(address) for address in addresses.split()]
        except ValueError:
            raise ConfigurationError(
                "SKILLPLAN_WITNESSES 应为 https://…/#<验证公钥>,以空格分隔。"
                " SKILLPLAN_WITNESSES: https://…/#<verifier key>, separated by spaces."
            ) from None
        self._parts, self._signer = parts, signer
        self._tree = TreeReader(parts.store.pool)
        quorums = [plan.witnesses.needed for plan in parts.plans if plan.witnesses is not None]
        self._needed = max(quorums, default=1)

    async def run(self) -> None:
        """Submit each new checkpoint until cancelled."""
        signer = self._signer
        async with http_client.client("", self._parts.settings.ca, _PATIENCE) as client:
            while True:
                try:
                    if signer is None or not self._witnesses:
                        await self._tree.keep_cosigned(None)  # of a time when there were witnesses
                    else:
                        await self._submit(client, signer)
                except (*UNAVAILABLE, NotInTree) as error:
                    _log.warning("witnesses.paused", error=type(error).__name__)
                await asyncio.sleep(_PAUSE if self._witnesses else _LONGEST_PAUSE)

    async def _submit(self, client: httpx.AsyncClient, signer: LogSigner) -> None:
        """Have the checkpoint of the tree cosigned by those who have not cosigned it yet."""
        size, root = await self._tree.root()
        note = signer.checkpoint(size, root)
        lines_to_be = [witness.line(client, self._tree, note) for witness in self._witnesses]
        answers = await asyncio.gather(*lines_to_be, return_exceptions=True)
        lines = [answer for answer in answers if isinstance(answer, str)]
        if len(lines) >= self._needed:
            await self._tree.keep_cosigned(note + "".join(f"{line}\n" for line in lines))
        self._warn(answers, len(lines))
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, _Refused):
                raise answer

    def _warn(self, answers: Sequence[str | BaseException], cosigned: int) -> None:
        away = [
            f"{witness.key.name} {answer}"
            for witness, answer in zip(self._witnesses, answers, strict=True)
            if isinstance(answer, BaseException)
        ]
        text = f"{cosigned} of {len(answers)} cosign, {self._needed} are needed: {'; '.join(away)}" if away else None
        if text and _PART not in self._parts.metrics.health.warnings:
            _log.warning("witnesses.away", away=away)
        self._parts.metrics.health.warn(_PART, text)
