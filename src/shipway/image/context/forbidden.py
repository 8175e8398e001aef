"""What must not get into an image: private keys, and tokens that can be known by their form. Pure.

The rules are narrow on purpose. A package full of words like ``password`` must pass without a question, so a rule asks
for the form of the real thing: a key has a body, a token its length, and what is made up (``EXAMPLE``, ``xxxx``,
``12345678``) is none. A finding names the place and the first characters of a form, never what is secret.

Sources: RFC 7468 (PEM), RFC 7292 (PKCS#12), RFC 5208 and 8017 (keys in DER), PuTTY's appendix C, age's specification,
and the forms that the issuers publish for secret scanners.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_TOLD = 4  # characters of what was found: enough to find it in the file


@dataclass(frozen=True, slots=True)
class Finding:
    """One secret: in which file, on which line (from 1; 0 in a binary file), what it is, and how it begins."""

    name: str
    line: int
    what: str
    start: str = ""

    def __str__(self) -> str:
        place = f"{self.name}:{self.line}" if self.line else self.name
        return f"{place}: {self.what}" + (f" ({self.start}…)" if self.start else "")


@dataclass(frozen=True, slots=True)
class _Rule:
    """Every match of ``form`` begins with one of ``hints``; its group 1 is what tells.

    ``bytes.find`` looks for the hints at 1 to 3 GB/s each; an expression alone would search at 30 MB/s.
    """

    hints: tuple[bytes, ...]
    what: str
    form: re.Pattern[bytes]
    is_real: Callable[[re.Match[bytes]], bool]
    shown: bool = True  # a token begins with its kind; of a password the beginning is a secret


_MADE_UP = re.compile(
    rb"(?i)example|dummy|placeholder|changeme|redacted|fake|your|sample|xxxx|0{8}|\*{3}|\.{3}"
    rb"|012345|123456|234567|abcdef|bcdefg|(.)\1{5}"
)
_PLAIN_WORDS = frozenset(
    b"password passwd passw0rd pass pwd pw secret token user username tiger changeme foo bar baz test testing guest"
    b" abc abcd hunter2 mypassword mypass letmein x xx xxx pass1 123 1234 my_password access pypi pypiany p a b s"
    b" postgres root admin minioadmin key api_key apikey api-key none null some default basic-auth".split()
)
# Azurite's and Stripe's documents hold these for everybody.
_PUBLIC = frozenset({b"sk_test_4eC39HqLyjWDarjtT1zdp7dc", b"sk_test_BQokikJOvBiI2HlWgH4olfQ2"})
_AZURITE = b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq"


def _is_key(match: re.Match[bytes]) -> bool:
    return len(set(match[1])) > 8  # "AAAA…" and "xxxx…" stand in documents


def _is_token(match: re.Match[bytes]) -> bool:
    """Long, with many different characters and a digit: not a word, not an identifier, not a line of x."""
    secret = match[1]
    if secret in _PUBLIC or _AZURITE in secret or _MADE_UP.search(secret):
        return False
    return len(set(secret)) >= 9 and any(48 <= byte <= 57 for byte in secret)


def _is_password(match: re.Match[bytes]) -> bool:
    return _is_meant(match[1])


def _is_meant(secret: bytes) -> bool:
    plain = secret.lower().strip(b"\"'")
    if len(plain) < 4 or plain in _PLAIN_WORDS or _MADE_UP.search(secret):
        return False
    return not re.match(rb"[${<%\[(]|\*+$|.*[{}<>()$]", secret)  # a place for one: ${PASS}, <password>, %(pass)s


def _is_login(match: re.Match[bytes]) -> bool:
    """A password in a URL that leads to a real place; ``user:password@example.com`` stands in many documents."""
    host = match["host"].lower()
    if re.search(rb"(^|\.)(example|test|invalid|localhost)(\.(com|org|net))?$|^127\.|^host(name)?$|^server$", host):
        return False
    return match["user"].lower() != match["secret"].lower() and _is_meant(match["secret"])


def _form(expression: bytes) -> re.Pattern[bytes]:
    return re.compile(expression, re.DOTALL)


def _token(what: str, expression: bytes, *hints: bytes) -> _Rule:
    form = _form(rb"(?<![A-Za-z0-9+/_-])(" + expression + rb")(?![A-Za-z0-9_])")
    return _Rule(hints, what, form, _is_token)


def _hidden(what: str, expression: bytes, *hints: bytes) -> _Rule:
    return _Rule(hints, what, _form(expression), _is_password, shown=False)


_PEM = rb"-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----).){1,400}?([A-Za-z0-9+/]{40})"

_ANYWHERE = (
    _Rule((b"-----BEGIN ",), "a private key", _form(_PEM), _is_key, shown=False),
    _Rule(
        (b"PuTTY-User-Key-File-",),
        "a private key of PuTTY",
        _form(rb"(PuTTY-User-Key-File-[123]: [\w@.-]+\r?\nEncryption: )"),
        lambda match: True,
        shown=False,
    ),
    _Rule((b"AGE-SECRET-KEY-1",), "a private key of age", _form(rb"(AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58})"), _is_key),
    _token("an AWS access key", rb"A[KS]IA[A-Z2-7]{16}(?![+/=])", b"AKIA", b"ASIA"),
    _Rule(
        (b"ecret_access_key", b"ECRET_ACCESS_KEY", b"ecretAccessKey"),
        "an AWS secret key",
        _form(rb"(?i:ecret_?access_?key)[\"']?\s{0,3}[=:]\s{0,3}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
        _is_token,
        shown=False,
    ),
    _Rule(
        (b"AccountKey=",), "an Azure storage key", _form(rb"AccountKey=([A-Za-z0-9+/]{86}==)"), _is_token, shown=False
    ),
    _token("a GitHub token", rb"gh[pousr]_[A-Za-z0-9]{36,255}", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
    _token("a GitHub token", rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", b"github_pat_"),
    _token("a GitLab token", rb"glpat-[\w-]{20,300}", b"glpat-"),
    _token("a Hugging Face token", rb"hf_[A-Za-z0-9]{34}", b"hf_"),
    _token("an API key (OpenAI, Anthropic or alike)", rb"sk-(?:ant|proj|svcacct|admin|or)-[\w-]{32,300}", b"sk-"),
    _token("an API key (OpenAI, Anthropic or alike)", rb"sk-[A-Za-z0-9]{32,100}", b"sk-"),
    _token("a Slack token", rb"(?:xox[abeoprs]|xapp)-\d[\w-]{20,300}", b"xox", b"xapp-"),
    _Rule(
        (b"hooks.slack.com/services/",),
        "a Slack web hook",
        _form(rb"hooks\.slack\.com/services/(T\w{6,}/B\w{6,}/\w{20,})"),
        _is_token,
        shown=False,
    ),
    _token("a Stripe key", rb"[rs]k_(?:live|test)_[A-Za-z0-9]{24,250}", b"sk_live_", b"rk_live_", b"sk_test_"),
    _token("a PyPI token", rb"pypi-AgE[A-Za-z0-9_-]{60,500}", b"pypi-AgE"),
    _token("an npm token", rb"npm_[A-Za-z0-9]{36}", b"npm_"),
    _Rule(
        (b'"auths"',),
        "a password of a registry (Docker's config.json)",
        _form(rb'"auths"\s*:\s*\{.{0,4000}?"(?:auth|identitytoken)"\s*:\s*"([A-Za-z0-9+/=._-]{8,})"'),
        _is_password,
        shown=False,
    ),
    _hidden(
        "a client key of a kubeconfig", rb"client-key-data[\"']?:\s*[\"']?([A-Za-z0-9+/=]{60,})", b"client-key-data"
    ),
    _Rule(
        (b"://",),
        "a password in a URL",
        _form(
            rb"://(?P<user>[^\s/:@\"'`<>{}\[\]()$\\?#,;*|]{0,100}):(?P<secret>[^\s/:@\"'`<>\\]{4,200})@"
            rb"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)"
        ),
        _is_login,
        shown=False,
    ),
)

# Files whose place says that what stands there is a password.
_BY_NAME = (
    (
        re.compile(r"(^|/)[._]netrc$"),
        _hidden("a password (netrc)", rb"(?<!\S)password\s+(\S+)", b"password"),
    ),
    (
        re.compile(r"(^|/)(\.pypirc|pip\.(conf|ini))$"),
        _hidden("a password (pip, twine)", rb"(?<!\S)password\s*[=:]\s*(\S+)", b"password"),
    ),
    (
        re.compile(r"(^|/)(config\.json|\.dockercfg|\.dockerconfigjson)$"),
        _hidden("a password of a registry", rb'"auth"\s*:\s*"([A-Za-z0-9+/=]{12,})"', b'"auth"'),
    ),
    (
        re.compile(r"(^|/)(kubeconfig[^/]*|[^/]*\.kubeconfig|\.kube/config)$"),
        _hidden("a token of a kubeconfig", rb"(?<=\s)token:\s*[\"']?([\w.-]{20,})", b"token:"),
    ),
)

_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...|\x80)"
_RSA = rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01"  # 1.2.840.113549.1
# Known by the file's first bytes; none of them is text.
_FROM_START = (
    ("a key store (PKCS#12)", rb"\x30" + _LENGTH + rb"\x02\x01\x03\x30" + _LENGTH + _RSA + rb"\x07[\x01\x02]"),
    ("a key store of Java", rb"\xfe\xed\xfe\xed\x00\x00\x00[\x01\x02]|\xce\xce\xce\xce\x00\x00\x00[\x01\x02]"),
    ("a private key (DER)", rb"\x30" + _LENGTH + rb"\x02\x01\x00(?:\x30\x0d" + _RSA + rb"\x01\x01|\x02\x82..\x00)"),
    ("a private key (DER)", rb"\x30" + _LENGTH + rb"\x02\x01[\x00\x01](?:\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01|"
     rb"\x04[\x20\x30\x42].{32,66}\xa0|\x30\x05\x06\x03\x2b\x65[\x6e\x70]\x04)"),
)  # fmt: skip
_FIRST_BYTES = (b"\x30", b"\xfe", b"\xce")
_STARTS = tuple((what, _form(expression)) for what, expression in _FROM_START)


HINTS = frozenset(hint for rule in _ANYWHERE for hint in rule.hints)


def hints_in(content: bytes) -> frozenset[bytes]:
    """Which hints stand there at all: asked of many small files at once, as they lie one behind the other, it spares
    each of them thirty searches."""
    return frozenset(hint for hint in HINTS if hint in content)


def findings(name: str, content: bytes, *, is_text: bool = True, hints: frozenset[bytes] = HINTS) -> Iterator[Finding]:
    """The secrets in a file's content, of which the first byte is the file's.

    ``name`` is relative, with ``/``; some names say what stands in the file (``.netrc``). Only ``hints`` count.
    """
    if content[:1] in _FIRST_BYTES:
        for what, start in _STARTS:
            if start.match(content):
                yield Finding(name, 0, what)
                return
    rules = [rule for rule in _ANYWHERE if not hints.isdisjoint(rule.hints)]
    rules += [rule for named, rule in _BY_NAME if named.search(name)]
    for rule in rules:
        for match in _matches(rule, content):
            if rule.is_real(match):
                line = content.count(b"\n", 0, match.start(1)) + 1 if is_text else 0
                start_of = match[1][:_TOLD].decode("ascii", "replace") if rule.shown else ""
                yield Finding(name, line, _named(rule, content), start_of)


def _matches(rule: _Rule, content: bytes) -> Iterator[re.Match[bytes]]:
    for hint in rule.hints:
        place = content.find(hint)
        while place >= 0:
            match = rule.form.match(content, place)
            if match is not None:
                yield match
            place = content.find(hint, match.end() if match is not None else place + len(hint))


def _named(rule: _Rule, content: bytes) -> str:
    if rule.what == "a private key" and b'"service_account"' in content:
        return "a private key of a Google Cloud service account"
    return rule.what
