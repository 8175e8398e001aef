"""What is taken for a secret, and what is not.

No secret stands here as it would stand in a file: this file must pass the scanner itself (and that of others).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from shipway.image.context.forbidden import findings

BODY = "q7Rt2mXw9KpL4sVz8YbN3hJd6GfCa1Eu5ToiQnBvMxZkHyWjDrSgPlFc0UeAIO2q7Rt2mXw9KpL4sVz8YbN3hJd6GfCa1Eu5Toi"
UPPER = "Q7RT2MXW6KPL4SVZ"
BASE = Path(__file__).parents[3]


def text(name: str, content: str) -> list[str]:
    return [str(one) for one in findings(name, content.encode())]


TOKENS = [
    ("AKIA" + UPPER, "an AWS access key"),
    ("ASIA" + UPPER, "an AWS access key"),
    ("ghp_" + BODY[:36], "a GitHub token"),
    ("ghs_" + BODY[:40], "a GitHub token"),
    ("github_pat_" + BODY[:22] + "_" + BODY[:59], "a GitHub token"),
    ("glpat-" + BODY[:20], "a GitLab token"),
    ("hf_" + BODY[:34], "a Hugging Face token"),
    ("sk-" + BODY[:48], "an API key (OpenAI, Anthropic or alike)"),
    ("sk-proj-" + BODY[:64], "an API key (OpenAI, Anthropic or alike)"),
    ("sk-ant-api03-" + BODY[:93] + "-AA", "an API key (OpenAI, Anthropic or alike)"),
    ("xoxb-" + "2847561930-9081726354-" + BODY[:24], "a Slack token"),
    ("sk_live_" + BODY[:24], "a Stripe key"),
    ("pypi-" + "AgEIcHlwaS5vcmc" + BODY, "a PyPI token"),
    ("npm_" + BODY[:36], "an npm token"),
    ("AGE-SECRET-KEY-" + "1" + (UPPER * 4).replace("B", "Q")[:58], "a private key of age"),
]


@pytest.mark.parametrize(("token", "what"), TOKENS)
@pytest.mark.parametrize("line", ["{}", 'token = "{}"', "export TOKEN={};", '"source": ["x = \'{}\'\\n"],'])
def test_tokens_are_found_by_their_form(token: str, what: str, line: str) -> None:
    (found,) = findings("a.py", b"import os\n\n" + line.format(token).encode())
    assert (found.line, found.what, found.start) == (3, what, token[:4])
    assert str(found) == f"a.py:3: {what} ({token[:4]}…)"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("s.py", f"aws_secret_access_key = {BODY[:40]}\n", "an AWS secret key"),
        ("s.sh", f'export AWS_SECRET_ACCESS_KEY="{BODY[:40]}"', "an AWS secret key"),
        ("s.py", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={BODY[:86]}==;", "an Azure storage key"),
        ("s.py", f"url = 'https://hooks.slack.com/services/T0{BODY[:8]}/B0{BODY[:8]}/{BODY[:24]}'", "a Slack web hook"),
        ("s.py", f"engine('postgresql://app:{BODY[:12]}@db.prod.acme.io/x')", "a password in a URL"),
        ("requirements.txt", f"--extra-index-url https://__token__:{BODY[:12]}@pypi.acme.io/", "a password in a URL"),
        ("r.yaml", f"redis: redis://:{BODY[:16]}@cache:6379/0", "a password in a URL"),
        ("x.json", json.dumps({"auths": {"ghcr.io": {"auth": BODY[:24]}}}), "a password of a registry"),
        (".netrc", f"machine a.io\n  login me\n  password {BODY[:9]}\n", "a password (netrc)"),
        ("home/.netrc", f"machine a.io login me password {BODY[:9]}", "a password (netrc)"),
        (".pypirc", f"[pypi]\nusername = me\npassword = {BODY[:9]}\n", "a password (pip, twine)"),
        ("kube", f"users:\n- user:\n    client-key-data: {BODY[:80]}\n", "a client key of a kubeconfig"),
        ("kubeconfig", f"users:\n- user:\n    token: {BODY[:30]}\n", "a token of a kubeconfig"),
    ],
)
def test_passwords_are_found_by_their_place_and_never_shown(name: str, content: str, what: str) -> None:
    (found,) = text(name, content)
    assert found.partition(": ")[2].startswith(what)
    assert BODY[:4] not in found


EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ENCRYPTED = BestAvailableEncryption(b"word")


@pytest.mark.parametrize(
    "pem",
    [
        EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, ENCRYPTED),
        ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, ENCRYPTED),
        ED.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    ],
    ids=range(6),
)
def test_keys_in_pem(pem: bytes) -> None:
    in_python = "KEY = (\n" + "\n".join(f'    b"{line}\\n"' for line in pem.decode().splitlines()) + "\n)"
    in_json = json.dumps({"type": "service_account", "private_key": pem.decode()})
    for content in (pem, b"# mine\r\n" + pem.replace(b"\n", b"\r\n"), in_python.encode()):
        assert [one.what for one in findings("key", content)] == ["a private key"]
    assert text("k.json", in_json) == ["k.json:1: a private key of a Google Cloud service account"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (pkcs12.serialize_key_and_certificates(b"me", EC, None, None, NoEncryption()), "a key store (PKCS#12)"),
        (pkcs12.serialize_key_and_certificates(b"me", EC, None, None, ENCRYPTED), "a key store (PKCS#12)"),
        (EC.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "a private key (DER)"),
        (EC.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()), "a private key (DER)"),
        (ED.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "a private key (DER)"),
        (bytes.fromhex("308204a30201000282010100c1c1"), "a private key (DER)"),  # RSA, as openssl writes it
        (bytes.fromhex("308204bd020100300d06092a864886f70d0101010500"), "a private key (DER)"),
        (bytes.fromhex("feedfeed0000000200000001"), "a key store of Java"),
        (bytes.fromhex("cececece0000000200000001"), "a key store of Java"),
    ],
    ids=range(9),  # not the keys, which are others in each process of a run
)
def test_keys_by_the_first_bytes(content: bytes, what: str) -> None:
    assert [str(one) for one in findings("store.bin", content, is_text=False)] == [f"store.bin: {what}"]


def test_putty_and_pgp() -> None:
    putty = "PuTTY-User-Key-File-" + "3: ssh-ed25519\r\nEncryption: none\r\nComment: me\r\n"
    pgp = f"-----BEGIN PGP PRIVATE KEY {'BLOCK'}-----\nVersion: 2\n\n{BODY[:64]}\n{BODY[:64]}\n"
    assert text("k.ppk", putty) == ["k.ppk:1: a private key of PuTTY"]
    assert text("k.asc", pgp) == ["k.asc:4: a private key"]


HARMLESS = [
    "if line.startswith('-----BEGIN PRIVATE KEY-----'): raise ValueError",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 64 + "\n-----END RSA PRIVATE KEY-----",
    EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "magic = b'PuTTY-User-Key-File-2: '",
    "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "aws_secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA" + "AKIA" + UPPER + "AAADU",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "hf_hub_download(repo_id='x', filename='y', revision='main')",
    "hf_ThisIsNoTokenButAVeryLongCamelCaseN",
    "sk-estimator-doc-link sk-toggleable__label-arrow sk-toggleable__content-dark-mode-1",
    "sk-your-key-here sk-1234567890abcdef1234567890abcdef",
    "risk-" + BODY[:40],
    "xoxb-your-token",
    "postgresql://scott:tiger@localhost/test",
    "postgresql://user:password@db/test",
    "https://user:pass@example.com/",
    "f'https://{user}:{password}@{host}/'",
    "https://${USER}:${PASS}@pypi.acme.io/simple",
    "http://%(user)s:%(password)s@pypi.acme.io",
    "https://<user>:<token>@acme.io",
    "redis://user:user@acme.io",
    "see https://acme.io:8080/a@b and mailto:me@acme.io",
    'wsrep://[::1]:4567 "http://[2001:db8::1]:8080/path@2x"',
    '{"auths": {}}',
    '{"auths": {"ghcr.io": {}}, "credsStore": "desktop"}',
    "password = os.environ['PASSWORD']",
    "client-key-data: REDACTED",
]


@pytest.mark.parametrize("content", HARMLESS)
def test_what_only_looks_like_one(content: str) -> None:
    assert text("a.py", content) == []


def test_names_that_do_not_make_a_password() -> None:
    assert text("netrc.py", "machine a login b password qV7mTz2xW") == []
    assert text(".netrc", "machine a login b password ${TOKEN}") == []
    assert text("pip.conf", "[global]\nindex-url = https://pypi.acme.io/simple\n") == []


def test_our_own_sources_are_clean() -> None:
    files = [path for folder in ("src", "docs") for path in (BASE / folder).rglob("*.[pm][yd]")]
    assert len(files) > 300
    assert [str(one) for path in files for one in findings(path.name, path.read_bytes())] == []


def test_this_folder_is_clean() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        assert text(path.name, path.read_text()) == []
