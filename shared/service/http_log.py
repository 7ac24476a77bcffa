"""HTTP routes of a domain service's log: its facts, its Merkle tree as C2SP tlog-tiles, and proofs."""

import base64
import re
from collections.abc import Awaitable, Sequence
from typing import Annotated, Final, Literal, TypeVar

import orjson
from fastapi import FastAPI, Path, Query, Response

from shared.contract.messages import ConsistencyProof, InclusionProof, LogPage, ServiceLogHead
from shared.http.openapi import Responses, problem_response
from shared.http.problems import Problem
from shared.log.checkpoints import LogSigner
from shared.log.event_store import EventStore
from shared.log.tree import WIDTH, TileAt, tile_path
from shared.log.tree_store import NotInTree, TreeReader
from shared.service.http_door import NOT_NOW, answer_of

_LAST: Final = 2**62
_TILE: Final = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_FOR_EVER: Final = {"cache-control": "private, max-age=31536000, immutable"}
_BYTES: Final = "application/octet-stream"
_LINES: Final = "application/x-ndjson"
_NOT_IN_TREE: Final = Problem(
    404,
    "日志的树还没有到这里(事实发往 Kafka 后约一秒内入树),或没有这个分块。",
    "The log's tree does not reach so far (a fact enters it about a second after it was sent to Kafka), or has no such"
    " tile.",
)
_NO_KEY: Final = Problem(
    404,
    "本服务没有设置签名密钥(SKILLPLAN_LOG_KEY),因而没有检查点。",
    "This service has no signing key (SKILLPLAN_LOG_KEY), so there are no checkpoints.",
)
_NO_SM2: Final = Problem(
    404,
    "本服务没有设置国密签名密钥(SKILLPLAN_LOG_GM_KEY)。",
    "This service signs nothing by SM2 (SKILLPLAN_LOG_GM_KEY).",
)
_NOWHERE: Final = problem_response(_NOT_IN_TREE, "树还没有到这里,或没有这个分块 Not in the tree, or no such tile")
_WRONG: Final = {"description": "参数不正确 A parameter is wrong"}
_TILES: Final[Responses] = {
    200: {"description": "分块(示例为 base64) The tile; the example is in base64", "content": {_BYTES: {}}},
    404: _NOWHERE,
    503: NOT_NOW,
}
_Number = Annotated[
    str, Path(description="序号,如 x001/x234/067;不满的加 .p/<宽> the tile's index; .p/<width> where it is not full")
]
_Size = Annotated[
    int | None, Query(ge=0, le=_LAST, description="树的大小,缺省为现在的 size of the tree; by default as it is now")
]
_After = Annotated[int, Query(ge=0, le=_LAST, description="在此位置之后 after this position")]
_Limit = Annotated[int, Query(ge=1, le=5000, description="每页几条 how many a page")]
T = TypeVar("T")


async def _of_tree(query: Awaitable[T]) -> T:
    try:
        return await answer_of(query)
    except NotInTree:
        raise _NOT_IN_TREE from None


def _tile(path: str) -> tuple[int, int]:
    """Return index and width of a tile by its path; raises Problem 404."""
    if match := _TILE.fullmatch(path):
        number, width = int(match[1].replace("x", "").replace("/", "")), int(match[2] or WIDTH)
        if match[1] == tile_path(number) and width <= WIDTH and (width < WIDTH or not match[2]) and number < _LAST:
            return number, width
    raise _NOT_IN_TREE


def _text(text: str) -> Response:
    return Response(text, media_type="text/plain; charset=utf-8", headers={"cache-control": "no-cache"})


def add_routes(app: FastAPI, store: EventStore, service: str, signer: LogSigner | None) -> None:
    """Add the routes of the log of one service; `signer`: without it there are no checkpoints."""
    _add_facts(app, store, service)
    _add_sandbox(app, store.sandbox)
    tree = TreeReader(store.pool)
    _add_checkpoints(app, tree, signer)
    _add_tiles(app, tree)
    _add_proofs(app, tree, service)


def _add_facts(app: FastAPI, store: EventStore, service: str) -> None:
    @app.get(
        "/v1/log/head",
        summary="日志已到之处 Where this service's log stands",
        description=("最后一条事实的位置和入账时刻。\n\nPosition of the last fact and when it was recorded."),
        response_model=ServiceLogHead,
        responses={503: NOT_NOW},
    )
    async def get_head(
        settled: Annotated[
            bool, Query(description="先等正在进行的裁定入账 first wait for what is being decided")
        ] = False,
    ) -> Response:
        head = await answer_of(store.settled_head() if settled else store.head())
        body = {"service": service, "position": head.position, "recorded_at": head.recorded_at}
        return Response(orjson.dumps(body), media_type="application/json")

    @app.get(
        "/v1/log",
        summary="本服务的事实 A page of this service's facts",
        description=(
            "按位置排列,位置连续;供对账和修复。翻页:把 `next` 作为 `after`,到头为 null。`format=ndjson` 时每行一条,"
            "为存储的原始字节,可供 `verify.py` 核验;空页即到头。\n\n"
            "In the order of their positions, which have no gaps; for reconciling and repair. Next page: `after` ="
            " `next`, null at the end. With `format=ndjson` a fact a line, its exact bytes as stored, for `verify.py`;"
            " an empty page is the end."
        ),
        response_model=LogPage,
        responses={200: {"content": {_LINES: {"schema": {"type": "string"}}}}, 422: _WRONG, 503: NOT_NOW},
    )
    async def get_log(
        after: _After = 0,
        limit: _Limit = 1000,
        form: Annotated[
            Literal["json", "ndjson"], Query(alias="format", description="json,或每行一条 json, or a fact a line")
        ] = "json",
    ) -> Response:
        facts = await answer_of(store.log(after, limit))
        if form == "ndjson":
            return Response(b"".join(fact + b"\n" for fact in facts), media_type=_LINES)
        return _page(facts, after + limit if len(facts) == limit else None)


def _page(facts: Sequence[bytes], following: int | None) -> Response:
    body = b'{"facts":[' + b",".join(facts) + b'],"next":' + (b"%d" % following if following else b"null") + b"}"
    return Response(body, media_type="application/json")


def _add_sandbox(app: FastAPI, sandbox: EventStore | None) -> None:
    @app.get(
        "/v1/log/sandbox",
        summary="试报系统的事实 A page of what sandboxes reported here",
        description=(
            "来源以 `sandbox` 开头的系统本周所报并受理的事实(RULES A26),按位置排列;每周一清空。翻页同 `/v1/log`。\n\n"
            "What sources whose system begins with `sandbox` have reported this week (RULES A26), in the order of their"
            " positions; emptied every Monday. Pages as at `/v1/log`."
        ),
        response_model=LogPage,
        responses={422: _WRONG, 503: NOT_NOW},
    )
    async def get_sandbox(after: _After = 0, limit: _Limit = 1000) -> Response:
        facts = await answer_of(sandbox.log(after, limit)) if sandbox is not None else []
        return _page(facts, orjson.loads(facts[-1])["position"] if len(facts) == limit else None)


def _add_checkpoints(app: FastAPI, tree: TreeReader, signer: LogSigner | None) -> None:
    @app.get(
        "/v1/log/key",
        summary="检查点的公钥 The public key of this log's checkpoints",
        description=(
            "签名笔记(C2SP signed-note)的验证公钥。核验的人应从别处(见 docs/audit.md)得到它并对照。\n\n"
            "A verifier key of C2SP signed-note. Who checks should have it from elsewhere, too (docs/audit.md)."
        ),
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, 422: _WRONG},
    )
    async def get_key(
        algorithm: Annotated[
            Literal["ed25519", "sm2"],
            Query(description="签名算法;sm2 仅在设了国密密钥时 of which signatures; sm2 where such a key is set"),
        ] = "ed25519",
    ) -> Response:
        key = _signer(signer).verifier_key if algorithm == "ed25519" else _signer(signer).sm2_verifier_key
        if key is None:
            raise _NO_SM2
        return _text(key + "\n")

    @app.get(
        "/v1/log/checkpoint",
        summary="已签名的检查点 The signed checkpoint of this log",
        description=(
            "C2SP tlog-checkpoint:名称、树的大小、根哈希、Ed25519 签名,设了见证的另有其副署。树的叶是各事实的 SHA-256,"
            "第 i 叶(从 0 起)是位置 i+1 的事实。\n\n"
            "C2SP tlog-checkpoint: origin, size of the tree, root hash, Ed25519 signature, and the cosignatures of"
            " witnesses where there are any. The leaves of the tree are the SHA-256 of the facts; leaf i, from 0, is"
            " the fact at position i+1."
        ),
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, 422: _WRONG, 503: NOT_NOW},
    )
    async def get_checkpoint(
        cosigned: Annotated[
            bool,
            Query(description="见证副署的最新一份;false:不等 the latest cosigned; false: without waiting"),
        ] = True,
    ) -> Response:
        signs = _signer(signer)
        if cosigned and (note := await answer_of(tree.cosigned())) is not None:
            return _text(note)
        return _text(signs.checkpoint(*await answer_of(tree.root())))


def _add_tiles(app: FastAPI, tree: TreeReader) -> None:
    @app.get(
        "/v1/log/tile/entries/{number:path}",
        summary="叶的数据 The data of leaves, an entry bundle",
        description=(
            "C2SP tlog-tiles:每叶为两字节长度和事实的 SHA-256(32 字节),没有事实的内容。\n\n"
            "C2SP tlog-tiles: of each leaf two bytes of length and the fact's SHA-256 (32 bytes), nothing of the fact."
        ),
        response_class=Response,
        responses=_TILES,
    )
    async def get_entries(number: _Number) -> Response:
        bundle = await _of_tree(tree.entries(*_tile(number)))
        return Response(bundle, media_type=_BYTES, headers=_FOR_EVER)

    @app.get(
        "/v1/log/tile/{level}/{number:path}",
        summary="树的分块 A tile of the tree",
        description=(
            "C2SP tlog-tiles,高 8:至多 256 个 32 字节的哈希;第 0 层是叶的哈希,以上各层是下一层整块的哈希。\n\n"
            "C2SP tlog-tiles of height 8: up to 256 hashes of 32 bytes; of leaves at level 0, of full tiles below at"
            " the levels above."
        ),
        response_class=Response,
        responses=_TILES,
    )
    async def get_tile(
        level: Annotated[int, Path(ge=0, le=63, description="层,从 0 起 the level, from 0")], number: _Number
    ) -> Response:
        index, width = _tile(number)
        hashes = await _of_tree(tree.tile(TileAt(level, index), width))
        return Response(hashes, media_type=_BYTES, headers=_FOR_EVER)


def _signer(signer: LogSigner | None) -> LogSigner:
    if signer is None:
        raise _NO_KEY
    return signer


def _add_proofs(app: FastAPI, tree: TreeReader, service: str) -> None:
    proofs: Responses = {404: _NOWHERE, 422: _WRONG, 503: NOT_NOW}

    @app.get(
        "/v1/log/proof",
        summary="一条事实在树中的证明 Proof that a fact is in the tree",
        description=(
            "RFC 6962 2.1.1 的路径,从叶到根;哈希均为 base64。\n\n"
            "The path of RFC 6962, 2.1.1, from the leaf to the root; every hash is in base64."
        ),
        response_model=InclusionProof,
        responses=proofs,
    )
    async def get_proof(
        position: Annotated[int, Query(ge=1, le=_LAST, description="事实的位置 the fact's position")],
        size: _Size = None,
    ) -> Response:
        reached, leaf, proof = await _of_tree(tree.inclusion(position - 1, size))
        body: InclusionProof = {
            "service": service, "position": position, "size": reached, "leaf": _base64(leaf),
            "proof": list(map(_base64, proof)),
        }  # fmt: skip
        return Response(orjson.dumps(body), media_type="application/json")

    @app.get(
        "/v1/log/consistency",
        summary="两个检查点一致的证明 Proof that a tree begins with an earlier one",
        description=(
            "RFC 6962 2.1.2 的证明;哈希均为 base64。\n\nThe proof of RFC 6962, 2.1.2; every hash is in base64."
        ),
        response_model=ConsistencyProof,
        responses=proofs,
    )
    async def get_consistency(
        old: Annotated[int, Query(ge=0, le=_LAST, description="较早的树的大小 size of the earlier tree")],
        size: _Size = None,
    ) -> Response:
        reached, proof = await _of_tree(tree.consistency(old, size))
        body: ConsistencyProof = {
            "service": service, "old": old, "size": reached, "proof": list(map(_base64, proof)),
        }  # fmt: skip
        return Response(orjson.dumps(body), media_type="application/json")


def _base64(hash_: bytes) -> str:
    return base64.b64encode(hash_).decode()
