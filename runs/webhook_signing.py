"""Signs webhooks as the Standard Webhooks specification says: HMAC-SHA256 with a timestamp.

The receiver computes the same digest of `id.timestamp.body` with the secret that it shares, and
refuses a timestamp that is too old, so that a call which somebody recorded cannot be played again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
"""Bounds that the specification sets."""


class WebhookSigner:
    """Signs with each of `secrets`: while one is replaced by another, receivers may know either.

    Without secrets a call has its id and time and no signature.
    """

    def __init__(self, secrets: str = "") -> None:
        self._keys = parse_secrets(secrets)

    def sign(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers of a call."""
        headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
        content = f"{message_id}.{timestamp}.".encode() + body
        digests = (hmac.new(key, content, hashlib.sha256).digest() for key in self._keys)
        signatures = [f"v1,{base64.b64encode(digest).decode()}" for digest in digests]
        return {**headers, "webhook-signature": " ".join(signatures)} if signatures else headers


def parse_secrets(secrets: str) -> list[bytes]:
    """Return the keys of `whsec_<base64>` texts with spaces between them.

    Raises `ValueError`, whose text holds nothing of a secret.
    """
    return [_parse_secret(secret) for secret in secrets.split()]


def _parse_secret(secret: str) -> bytes:
    rule = (
        f"a secret of webhooks is {PREFIX} and base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} "
        f"random bytes, as of: echo {PREFIX}$(openssl rand -base64 32)"
    )
    if not secret.startswith(PREFIX):
        raise ValueError(rule)
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        # Not chained: the library's text must not lead to the secret.
        raise ValueError(rule) from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(rule)
    return key
