"""Encryption keys: which texts are keys, where they may stand, and that none is ever shown."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from queen.errors import SettingsError
from tests.settings.test_layers import settings_in

HEX = "0f" * 32
BASE64 = base64.b64encode(bytes(range(200, 232))).decode()


@pytest.mark.parametrize(
    "key", [HEX, HEX.upper(), BASE64, BASE64.rstrip("="), BASE64.replace("+", "-").replace("/", "_")]
)
def test_keys_of_32_bytes_are_taken(tmp_path: Path, key: str) -> None:
    resolved = settings_in(tmp_path, environ={"QUEEN_ENCRYPTION_KEY": key, "QUEEN_ENCRYPTION_KEYS_OLD": f"{HEX},{key}"})
    assert resolved.settings.engine.encryption_key == key
    assert resolved.settings.engine.encryption_keys_old == tuple(dict.fromkeys([HEX, key]))
    shown = {row.key: (row.value, row.data) for row in resolved.rows()}
    assert shown["engine.encryption_key"] == shown["engine.encryption_keys_old"] == ("***", "***")


@pytest.mark.parametrize("key", ["secret", HEX[:-1], HEX + "0", "g" * 64, BASE64[:-2], BASE64 + "=", " " * 64])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, key: str) -> None:
    for name in ("QUEEN_ENCRYPTION_KEY", "QUEEN_ENCRYPTION_KEYS_OLD"):
        if name.endswith("OLD") and not key.strip():
            continue  # An empty list.
        with pytest.raises(SettingsError) as caught:
            settings_in(tmp_path, environ={name: key})
        assert "32 bytes" in caught.value.message
        assert name in caught.value.message
        assert "secret" not in caught.value.message
        assert HEX[:-1] not in caught.value.message


def test_a_key_may_stand_in_the_file_and_none_is_no_secret(tmp_path: Path) -> None:
    resolved = settings_in(tmp_path, yaml=f"engine:\n  encryption_key: {HEX}\n")
    assert resolved.settings.engine.encryption_key == HEX
    shown = {row.key: row.value for row in settings_in(tmp_path / "none", yaml="").rows()}
    assert (shown["engine.encryption_key"], shown["engine.encryption_keys_old"]) == ("", "")
