"""A witness cosigns a log that only grows: never an earlier tree or another history, not after a crash either."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.audit.witness import CosigningWitness, server_of
from client.output import CommandError
from shared.log.checkpoints import LogSigner
from shared.log.cosignatures import Cosigner, CosigningKey, LogKey, Submission, read_checkpoint, submission
from shared.log.tree import consistency, is_consistent
from shared.plan.witnesses import public_key
from tests.unit.test_tree import defined, digests_of

SIGNER = LogSigner("recruitment", b"k" * 32)
# What litewitness of filippo.io/torchwood 0.6.1 has answered to our request for the tree of 300 facts.
LITEWITNESS = "lite.example+3d6d3df6+BDbA8bafl8fn2LWITSzzcqxRZkf0L3mQEMAzdOiVu0zx"
ITS_LINE = (
    "— lite.example PW099gAAAABrDeOe1dd2NJhRvIAOLKz8KpBm7y2ock4uviTAllXcveDdoYT0WVy29tUg87JSgKb80dbI/Kl/CvACHphX3+"
    "RwreH6Ag=="
)
OTHER = [hashlib.sha256(b"other %d" % at).digest() for at in range(20)]


def proof_of(digests: Sequence[bytes], old: int) -> list[bytes]:
    return [defined(list(digests[first:end])) for first, end in consistency(old, len(digests))]


def submitted(
    digests: Sequence[bytes], old: int, signer: LogSigner = SIGNER, proof: list[bytes] | None = None
) -> bytes:
    note = signer.checkpoint(len(digests), defined(list(digests)))
    return submission(Submission(old, proof_of(digests, old) if proof is None else proof, note)).encode()


@pytest.fixture(name="witness")
def witness_fixture(tmp_path: Path) -> Iterator[CosigningWitness]:
    made = CosigningWitness(tmp_path / "w", "audit.example/w", [SIGNER.verifier_key])
    yield made
    made.close()


@given(st.integers(0, 70), st.integers(0, 70))
@settings(max_examples=150, deadline=None)
def test_a_proof_of_consistency_shows_growth_and_nothing_else(first: int, second: int) -> None:
    old, size = sorted((first, second))
    digests = digests_of(size)
    roots, proof = (defined(digests[:old]), defined(digests)), proof_of(digests, old)
    assert is_consistent(old, roots[0], size, roots[1], proof)
    if old > 0:
        assert not is_consistent(old, roots[1][::-1], size, roots[1], proof)
    if 0 < old < size:
        assert not is_consistent(old, roots[0], size, roots[1][::-1], proof)
        assert not is_consistent(old, roots[0], size, roots[1], [*proof, roots[0]])
        assert not is_consistent(old, roots[0], size, roots[1], proof[:-1])


def test_what_only_grew_is_cosigned_with_a_time(witness: CosigningWitness) -> None:
    digests, key = digests_of(9), Cosigner(witness.key.verifier_key)
    for old, size in ((0, 5), (5, 5), (5, 9)):
        answer = witness.add_checkpoint(submitted(digests[:size], old))
        assert answer.status == HTTPStatus.OK, answer
        head = read_checkpoint(SIGNER.checkpoint(size, defined(digests[:size])))
        cosigned = key.cosigned_at(head.text, answer.text.splitlines())
        assert cosigned is not None
        assert cosigned[1] > 1_700_000_000
        assert key.cosigned_at(head.text.replace(f"\n{size}\n", "\n6\n"), answer.text.splitlines()) is None


def test_no_earlier_tree_and_no_other_history_is_cosigned(tmp_path: Path) -> None:
    folder, log = tmp_path / "w", [SIGNER.verifier_key]
    digests = digests_of(12)
    first = CosigningWitness(folder, "w", log)
    with pytest.raises(CommandError, match="another witness"):
        CosigningWitness(folder, "w", log)
    assert first.add_checkpoint(submitted(digests[:8], 0)).status == HTTPStatus.OK
    first.close()
    again = CosigningWitness(folder, "w", log)  # as after a crash: what it knows is on the disk alone
    assert again.key.verifier_key == first.key.verifier_key
    forked = [*digests[:7], *OTHER[:5]]
    for body, status in (
        (submitted(digests[:5], 5), HTTPStatus.CONFLICT),
        (submitted(digests, 0), HTTPStatus.CONFLICT),
        (submitted(forked[:8], 8), HTTPStatus.CONFLICT),
        (submitted(forked, 8), HTTPStatus.UNPROCESSABLE_ENTITY),
        (submitted(digests, 8, proof=[]), HTTPStatus.UNPROCESSABLE_ENTITY),
        (submitted(digests[:5], 8), HTTPStatus.BAD_REQUEST),
        (submitted(digests, 8, LogSigner("subsidy", b"k" * 32)), HTTPStatus.NOT_FOUND),
        (submitted(digests, 8).replace(b"\n12\n", b"\n13\n"), HTTPStatus.FORBIDDEN),
        (submitted(digests, 8).replace(b"old 8", b"old 08"), HTTPStatus.BAD_REQUEST),
        (b"old 8\n", HTTPStatus.BAD_REQUEST),
    ):
        answer = again.add_checkpoint(body)
        assert answer.status == status, (body, answer)
        assert "—" not in answer.text
    assert again.add_checkpoint(submitted(digests, 0)).text == "8\n", "what was refused has changed nothing"
    assert again.add_checkpoint(submitted(digests, 8)).status == HTTPStatus.OK
    (file,) = folder.glob("*.checkpoint")
    file.write_text("", encoding="utf-8")
    assert again.add_checkpoint(submitted(digests, 0)).status == HTTPStatus.INTERNAL_SERVER_ERROR
    again.close()


def test_it_answers_over_http_as_the_specification_says(witness: CosigningWitness) -> None:
    server = server_of(witness, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        digests = digests_of(3)
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=20, trust_env=False) as http:
            answer = http.post("/add-checkpoint", content=submitted(digests, 0))
            assert (answer.status_code, answer.text.startswith("— audit.example/w ")) == (200, True)
            answer = http.post("/add-checkpoint", content=submitted(digests, 0))
            assert (answer.status_code, answer.text, answer.headers["content-type"]) == (409, "3\n", "text/x.tlog.size")
            assert http.post("/else", content=b"x").status_code == 404
            assert http.post("/add-checkpoint", content=b"x" * 100_000).status_code == 413
    finally:
        server.shutdown()
        server.server_close()


def test_the_cosignature_of_another_program_holds() -> None:
    text = read_checkpoint(SIGNER.checkpoint(300, defined(digests_of(300)))).text
    cosigner = Cosigner(LITEWITNESS)
    assert cosigner.cosigned_at(text, [ITS_LINE]) == (ITS_LINE, 0x6B0DE39E)
    assert cosigner.cosigned_at(text.replace("\n300\n", "\n301\n"), [ITS_LINE]) is None


def test_keys_are_read_as_written_and_no_other_way() -> None:
    key = CosigningKey("a/b", b"s" * 32).verifier_key
    assert public_key(key)[0] == "a/b"
    for wrong in (key[:-4], key.replace("a/b", "a/c"), SIGNER.verifier_key, "a", ""):
        with pytest.raises(ValueError, match=r".*"):
            public_key(wrong)
    with pytest.raises(ValueError, match=r".*"):
        LogKey(key)
