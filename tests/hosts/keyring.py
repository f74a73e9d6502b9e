"""Keys of rings, written as the README tells administrators: one line each."""

import hmac
import os
import secrets
import zlib


def make_key():
    """A new key as its line."""
    text = f"rck1_{secrets.token_hex(4)}_{secrets.token_hex(32)}"
    return f"{text}_{zlib.crc32(text.encode()):08x}"


def key_id(line):
    return line.split("_")[1]


def secret_of(line):
    return bytes.fromhex(line.split("_")[2])


def link_secret(line, target, ring="ringchat"):
    """What proves to the node with the id `target` that who dials it holds the key, and the
    identity that this goes with; both as ringchat-protocol(7) has them, in hexadecimal and text."""
    identity = f"rc1.{key_id(line)}.{1:016x}.{target.replace('-', '')}"
    info = f"ringchat link\n1\n{len(ring)} {ring}\n{identity}".encode()
    extracted = hmac.digest(bytes(32), secret_of(line), "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256").hex(), identity


def give_keys(host, *lines):
    """The host has these keys, the first of them in use, where its daemon looks without Key=."""
    path = host.state / "keyring"
    path.write_text("".join(f"{line}\n" for line in lines))
    os.chmod(path, 0o600)
    return host


def take_keys(host):
    """The host has none."""
    (host.state / "keyring").unlink()
    return host


# What all hosts of a test run have, unless a test says otherwise.
COMMON_KEY = make_key()
