"""What bytes that are no JSON object look like at first sight, said without quoting them (RULES A19)."""

from typing import Final, NamedTuple

_REGISTRY_HEAD: Final = 5  # a zero byte, and the number of the schema in four


class FirstSeen(NamedTuple):
    """What was seen first, in both languages."""

    zh: str
    en: str


_BOM_32: Final = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
_BOM_16: Final = (b"\xff\xfe", b"\xfe\xff", b"{\x00", b"\x00{")
_COMPRESSED: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x82SNAPPY": "snappy",
    b"PK\x03\x04": "zip",
}


def first_seen(raw: bytes, reason: str) -> FirstSeen:
    """Return what is seen first of bytes that were not read for a reason (`NotReadableError`), and what to do."""
    if not raw:
        return FirstSeen("消息没有内容", "the message has no content")
    if reason == "not-an-object":
        return FirstSeen(
            "是 JSON,但不是对象(一条消息一个对象,不放数组)",
            "JSON, but not an object (one object a message, not an array)",
        )
    for start, name in _COMPRESSED.items():
        if raw.startswith(start):
            return FirstSeen(
                f"内容是压缩的({name});压缩请交给 Kafka 客户端的 compression.type",
                f"the content is compressed ({name}); leave that to the Kafka client's compression.type",
            )
    if raw.startswith(b"\xef\xbb\xbf"):
        return FirstSeen(
            "以 UTF-8 字节顺序标记(BOM)开头,请去掉", "it begins with a UTF-8 byte order mark (BOM); leave it out"
        )
    if raw.startswith((*_BOM_32, *_BOM_16)):
        return FirstSeen("编码是 UTF-16 或 UTF-32,请用 UTF-8", "it is encoded in UTF-16 or UTF-32; use UTF-8")
    if raw[0] == 0 and len(raw) > _REGISTRY_HEAD and any(raw[1:_REGISTRY_HEAD]):
        schema = int.from_bytes(raw[1:_REGISTRY_HEAD], "big")
        return FirstSeen(
            f"以 schema registry 的前缀开头(字节 00,编号 {schema}),请改用普通的 JSON 序列化",
            f"it begins with a schema registry's prefix (byte 00, id {schema}); use a plain JSON serializer",
        )
    if raw.lstrip().startswith(b"<"):
        return FirstSeen("以 < 开头,像是网页或 XML", "it begins with <, like a web page or XML")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return FirstSeen("不是 UTF-8(是 GB 18030 吗?)", "it is not UTF-8 (GB 18030, perhaps)")
    return FirstSeen("是文本,但不合 JSON 的写法", "it is text, but not written as JSON")
