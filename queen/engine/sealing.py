"""encryptionEnabled: payloads that are stored encrypted, and the only place that opens a stored payload.

    stored    ␠{"sealed":1,"key":"5f1c09aa","for":["orders","Default","t1"],"data":"…base64…"}

The space tells a sealed payload from one that only looks like it: a producer's payload never begins with a space,
because what stands around a JSON value is not part of it. It is JSON all the same, so every SQL tool can read on.

AES-256-GCM. `data` is salt (16 bytes), nonce (12) and ciphertext with its tag. A process encrypts under a key of its
own, made from the configured one and its salt, and counts its nonces: so no nonce is ever used twice, however many
messages there are. Version, key id and place go in as additional data: a row that was put in another's place cannot be
opened. A replayed dead letter may be elsewhere than it was sealed for; its transaction id says so (`dlq:`).

What cannot be opened raises PayloadSealed, and is never handed out as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from queen import errors
from queen.settings import EngineSettings
from queen.store.base import Span

if TYPE_CHECKING:
    from queen.engine.catalog import Partition

log = logging.getLogger(__name__)

_VERSION: Final = 1
_SALT_BYTES, _NONCE_BYTES = 16, 12
_NONCES_PER_SALT = 1 << 32
_SALTS_KEPT = 4096
_WARNED_MAX = 10_000
_ABOVE_SPACE: Final = b"!"
_MARK: Final = b' {"sealed":'
_REPLAYED: Final = "dlq:"
_TO_DO: Final = (
    "set engine.encryption_key to the key that it was sealed under, or add that to engine.encryption_keys_old"
)


class _Sealed(msgspec.Struct, rename={"place": "for"}):
    sealed: int
    key: str
    place: tuple[str, str, str]
    data: str


_decoder = msgspec.json.Decoder(_Sealed)
_encode = msgspec.json.encode


class _Key:
    """A configured key: its id, and the ciphers made from it by salt."""

    def __init__(self, secret: bytes, cipher: Any) -> None:
        self._secret = secret
        self._cipher = cipher
        self.id = hashlib.sha256(b"queen key id:" + secret).hexdigest()[:16]
        self.under = lru_cache(_SALTS_KEPT)(self._under)

    def _under(self, salt: bytes) -> Any:
        return self._cipher(hmac.new(self._secret, b"queen payload:" + salt, hashlib.sha256).digest())


class Opened(NamedTuple):
    """A payload to show: itself, or why it cannot be opened."""

    payload: bytes | None
    error: errors.PayloadSealed | None


class Seals:
    """Seals payloads under the configured key, and opens those of any key that is configured."""

    def __init__(self, settings: EngineSettings) -> None:
        """Raises SettingsError when there is a key, and not the library that it needs."""
        texts = [text for text in (settings.encryption_key, *settings.encryption_keys_old) if text is not None]
        cipher = _cipher() if texts else None
        keys = [_Key(_key_bytes(text), cipher) for text in texts]
        self._keys = {key.id: key for key in keys}
        self._current = keys[0] if settings.encryption_key is not None else None
        self._salt = b""
        self._nonces = itertools.count(_NONCES_PER_SALT)
        self._warned: set[str] = set()

    def seal(self, payload: bytes, partition: Partition, transaction_id: bytes) -> bytes:
        """The payload as it is stored in this place: plain when there is no key, with a warning once for each queue."""
        key, queue = self._current, partition.queue.name
        if key is None:
            self._warn(queue, "payloads are stored plain, although the queue asks for encryption: no key is configured")
            return payload
        nonce = next(self._nonces)
        if nonce >= _NONCES_PER_SALT:
            self._salt, self._nonces, nonce = os.urandom(_SALT_BYTES), itertools.count(1), 0
        nonce_bytes = nonce.to_bytes(_NONCE_BYTES, "big")
        place = (queue, partition.name, transaction_id.decode())
        secret = key.under(self._salt).encrypt(nonce_bytes, payload, _bound(key.id, place))
        data = base64.b64encode(self._salt + nonce_bytes + secret).decode()
        return b" " + _encode(_Sealed(_VERSION, key.id, place, data))

    def open_payload(self, payload: bytes, queue: str, partition: str, transaction_id: str) -> bytes:
        """A stored payload as its producer sent it. Costs next to nothing for one that is not sealed.

        Raises PayloadSealed for one that cannot be opened here.
        """
        if not is_sealed(payload):
            return payload
        return self._open(payload, (queue, partition, transaction_id))

    def show(self, payload: str, queue: str, partition: str, transaction_id: str) -> Opened:
        """The same for lists, in which one payload that cannot be opened must not hide the others."""
        try:
            return Opened(self.open_payload(payload.encode(), queue, partition, transaction_id), None)
        except errors.PayloadSealed as error:
            return Opened(None, error)

    def open_span(self, partition: Partition, span: Span) -> errors.PayloadSealed | None:
        """Open the payloads of a span in place. Returns why, when one of them cannot be opened."""
        queue, name, payloads = partition.queue.name, partition.name, span.payloads
        try:
            for place, (payload, transaction_id) in enumerate(zip(payloads, span.transaction_ids, strict=True)):
                if is_sealed(payload):
                    payloads[place] = self._open(payload, (queue, name, transaction_id.decode()))
        except errors.PayloadSealed as error:
            self._warn(queue, f"messages cannot be delivered: {error.message}")
            return error
        return None

    def _open(self, payload: bytes, place: tuple[str, str, str]) -> bytes:
        queue, partition, transaction_id = place
        what = f"the payload of message {transaction_id!r} in {queue}/{partition}"
        try:
            sealed = _decoder.decode(payload)
            data = base64.b64decode(sealed.data, validate=True)
        except (msgspec.MsgspecError, ValueError):
            raise errors.PayloadSealed(f"{what} is sealed and damaged", hint="restore the row from a backup") from None
        key = self._keys.get(sealed.key)
        if sealed.sealed != _VERSION:
            raise errors.PayloadSealed(
                f"{what} is sealed in a form that this version does not know", hint="start the newer version of queen"
            )
        if key is None:
            raise errors.PayloadSealed(
                f"{what} is sealed under key {sealed.key}, which this server does not have", hint=_TO_DO
            )
        if sealed.place != place and not transaction_id.startswith(_REPLAYED):
            raise errors.PayloadSealed(f"{what} was sealed for another message", hint="somebody moved rows around")
        salt, nonce, secret = (
            data[:_SALT_BYTES],
            data[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES],
            data[_SALT_BYTES + _NONCE_BYTES :],
        )
        try:
            opened: bytes = key.under(salt).decrypt(nonce, secret, _bound(sealed.key, sealed.place))
        except Exception:  # The library's own, which is imported only where there is a key; or a length that is wrong.
            raise errors.PayloadSealed(
                f"{what} was changed after it was sealed", hint="restore the row from a backup"
            ) from None
        return opened

    def _warn(self, queue: str, text: str) -> None:
        if queue not in self._warned and len(self._warned) < _WARNED_MAX:
            self._warned.add(queue)
            log.warning("%s queue=%s", text, queue)


def is_sealed(payload: bytes) -> bool:
    """Is this stored payload encrypted?"""
    return payload.startswith(_MARK)


def has_sealed(payloads: Sequence[bytes]) -> bool:
    """May one of these be sealed? One pass without a step of ours for each."""
    return min(payloads) < _ABOVE_SPACE


def _bound(key_id: str, place: tuple[str, str, str]) -> bytes:
    """What a ciphertext is bound to."""
    return _encode([_VERSION, key_id, *place])


def _key_bytes(text: str) -> bytes:
    """32 bytes of a key in hexadecimal digits or base64; the settings let nothing else through."""
    if len(text) == 64:
        return bytes.fromhex(text)
    return base64.urlsafe_b64decode(text.rstrip("=").replace("+", "-").replace("/", "_") + "=")


def _cipher() -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise errors.SettingsError(
            "engine.encryption_key needs the Python package cryptography",
            hint="install it with: pip install 'queen[encryption]'",
        ) from error
    return AESGCM
