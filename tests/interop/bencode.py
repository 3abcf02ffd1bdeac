"""Bencoding (BEP 3). It encodes malformed messages, too, for tests."""


class BencodeError(ValueError):
    """Bytes that are not one bencoded value."""


def bencode(value):
    """Returns `value` (int, str, bytes, list or dict) as bencoded bytes."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, (list, tuple)):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, dict):
        return b"d" + b"".join(_encoded_items(value)) + b"e"
    raise TypeError(f"cannot bencode {type(value).__name__}")


def _encoded_items(dictionary):
    def raw(key):
        return key.encode() if isinstance(key, str) else key

    for key in sorted(dictionary, key=raw):
        yield bencode(key)
        yield bencode(dictionary[key])


def bdecode(data):
    """Returns the value that `data` encodes; strings are bytes."""
    try:
        value, end = _decode_at(data, 0)
    except (IndexError, ValueError, RecursionError) as error:
        raise BencodeError(f"not bencoded: {data[:40]!r}") from error
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes after the value")
    return value


def _decode_at(data, at):
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind == b"l":
        return _decode_items(data, at + 1)
    if kind == b"d":
        items, end = _decode_items(data, at + 1)
        return dict(zip(items[::2], items[1::2])), end
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if end > len(data):
        raise ValueError("string past the end")
    return data[colon + 1 : end], end


def _decode_items(data, at):
    items = []
    while data[at : at + 1] != b"e":
        item, at = _decode_at(data, at)
        items.append(item)
    return items, at + 1
