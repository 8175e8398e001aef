from __future__ import annotations

import pytest

from shipway.packages.pip_configuration import PipConfiguration, parse, redact, uv_environment

ROWS: list[tuple[str, dict[str, str], PipConfiguration]] = [
    ("", {}, PipConfiguration()),
    ("global.index-url='https://i/simple'\n", {}, PipConfiguration(index_url="https://i/simple")),
    ("global.index_url='https://i/simple'\n", {}, PipConfiguration(index_url="https://i/simple")),
    ("global.pypi-url='https://i/simple'\n", {}, PipConfiguration(index_url="https://i/simple")),
    # The environment wins over the files, the command's section over [global], whatever the order of the lines.
    ("global.index-url='a'", {"PIP_INDEX_URL": "c"}, PipConfiguration(index_url="c")),
    (":env:.index-url='c'\nglobal.index-url='a'", {}, PipConfiguration(index_url="c")),
    ("install.index-url='b'\nglobal.index-url='a'", {}, PipConfiguration(index_url="b")),
    ("install.index-url='b'\nglobal.index-url='a'", {"PIP_INDEX_URL": "c"}, PipConfiguration(index_url="c")),
    ("download.index-url='b'\nglobal.index-url='a'", {}, PipConfiguration(index_url="a")),
    ("global.index-url='a'", {"PIP_INDEX_URL": ""}, PipConfiguration(index_url="a")),
    # Lists: split at white space, replaced as a whole and never joined.
    ("global.extra-index-url='a b'", {}, PipConfiguration(extra_index_urls=("a", "b"))),
    ("global.extra-index-url='\\na\\n  b\\n'", {}, PipConfiguration(extra_index_urls=("a", "b"))),
    (
        "global.find-links='/w'",
        {"PIP_FIND_LINKS": "/x https://y/z"},
        PipConfiguration(find_links=("/x", "https://y/z")),
    ),
    ("global.find-links='~/wheels ~'", {}, PipConfiguration(find_links=("/home/me/wheels", "/home/me"))),
    ("global.constraint='/c.txt'", {}, PipConfiguration(constraints=("/c.txt",))),
    ("", {"PIP_CONSTRAINT": "/a.txt /b.txt"}, PipConfiguration(constraints=("/a.txt", "/b.txt"))),
    ("global.trusted-host='h:8080 k'", {}, PipConfiguration(trusted_hosts=("h:8080", "k"))),
    ("global.cert='/ca.pem'", {}, PipConfiguration(cert="/ca.pem")),
    (
        "global.client-cert='~/me.pem'\nglobal.proxy='http://p:1'",
        {},
        PipConfiguration(client_cert="/home/me/me.pem", proxy="http://p:1"),
    ),
    ("global.no-index='true'", {}, PipConfiguration(no_index=True)),
    ("", {"PIP_NO_INDEX": "1"}, PipConfiguration(no_index=True)),
    ("global.no-index='true'", {"PIP_NO_INDEX": "off"}, PipConfiguration()),
    ("global.no-index='true'", {"PIP_NO_INDEX": "False"}, PipConfiguration()),
    # What is not understood is passed over.
    (
        "WARNING: something\nglobal.timeout='60'\nglobal.cert=not a literal\nglobal.cert='/ca.pem'",
        {},
        PipConfiguration(cert="/ca.pem"),
    ),
    (":env:.config-file='/dev/null'", {"PIP_CONFIG_FILE": "/dev/null", "PIPX_HOME": "/p"}, PipConfiguration()),
    ("global.index-url='https://i/s?a=b'", {}, PipConfiguration(index_url="https://i/s?a=b")),
    ('global.find-links="it\'s"', {}, PipConfiguration(find_links=("it's",))),
]


@pytest.mark.parametrize(("listing", "environ", "expected"), ROWS)
def test_pips_configuration_is_read_with_pips_precedence(
    listing: str, environ: dict[str, str], expected: PipConfiguration
) -> None:
    assert parse(listing, environ, "/home/me") == expected


def test_this_machines_listing() -> None:
    listing = """global.cert='/etc/ssl/certs/ca-certificates.crt'
global.constraint='/etc/xdg/pip/constraints.txt'
global.extra-index-url='file:///opt/pypi/simple file:///opt/pypi-more/simple'
global.find-links='/opt/wheels'
:env:.disable-pip-version-check='1'
"""
    environ = uv_environment(parse(listing, {}, "/root"), {"PATH": "/bin"})
    assert environ == {
        "NO_COLOR": "1",
        "PATH": "/bin",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "UV_CONSTRAINT": "/etc/xdg/pip/constraints.txt",
        "UV_FIND_LINKS": "/opt/wheels",
        "UV_INDEX": "file:///opt/pypi/simple file:///opt/pypi-more/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.mark.parametrize(
    ("configuration", "inherited", "expected"),
    [
        (PipConfiguration(index_url="i"), {}, {"UV_DEFAULT_INDEX": "i"}),
        (
            PipConfiguration(index_url="i", extra_index_urls=("e",), no_index=True),
            {},
            {"UV_DEFAULT_INDEX": None, "UV_INDEX": None},
        ),
        (PipConfiguration(find_links=("/a", "/b")), {}, {"UV_FIND_LINKS": "/a,/b"}),
        (PipConfiguration(constraints=("/a", "/b")), {}, {"UV_CONSTRAINT": "/a /b"}),
        (PipConfiguration(trusted_hosts=("h", "k")), {}, {"UV_INSECURE_HOST": "h k"}),
        (
            PipConfiguration(cert="/pip"),
            {"SSL_CERT_FILE": "/own", "REQUESTS_CA_BUNDLE": "/r"},
            {"SSL_CERT_FILE": "/pip"},
        ),
        (PipConfiguration(), {"SSL_CERT_FILE": "/own", "REQUESTS_CA_BUNDLE": "/r"}, {"SSL_CERT_FILE": "/own"}),
        (PipConfiguration(), {"CURL_CA_BUNDLE": "/c"}, {"SSL_CERT_FILE": "/c"}),
        (PipConfiguration(client_cert="/c"), {}, {"SSL_CLIENT_CERT": "/c"}),
        (
            PipConfiguration(proxy="p"),
            {"https_proxy": "q"},
            {"HTTPS_PROXY": "p", "HTTP_PROXY": "p", "https_proxy": "q"},
        ),
        (PipConfiguration(), {"HTTPS_PROXY": "q", "NO_PROXY": "n"}, {"HTTPS_PROXY": "q", "NO_PROXY": "n"}),
        # A setting of uv that chooses packages is not in the environment's key, so it must not reach uv.
        (
            PipConfiguration(),
            {"UV_INDEX_URL": "x", "UV_PRERELEASE": "allow"},
            {"UV_INDEX_URL": None, "UV_PRERELEASE": None},
        ),
        (PipConfiguration(), {"UV_CACHE_DIR": "/c", "UV_OFFLINE": "1"}, {"UV_CACHE_DIR": "/c", "UV_OFFLINE": "1"}),
        (PipConfiguration(), {"VIRTUAL_ENV": "/v", "PYTHONPATH": "/p"}, {"VIRTUAL_ENV": None, "PYTHONPATH": None}),
    ],
)
def test_it_is_said_again_in_uvs_words(
    configuration: PipConfiguration, inherited: dict[str, str], expected: dict[str, str | None]
) -> None:
    environ = uv_environment(configuration, inherited)
    assert {name: environ.get(name) for name in expected} == expected


def test_credentials_are_neither_in_the_sources_nor_in_what_is_shown() -> None:
    configuration = PipConfiguration(
        index_url="https://me:p%40ss@host/simple", extra_index_urls=("https://token@host/x",)
    )
    assert configuration.sources() == ("https://***@host/simple", "https://***@host/x")
    shown = configuration.redact(
        "get https://me:p%40ss@host/simple/six failed, password p@ss refused, token used, https://token@host/x"
    )
    assert shown == "get https://***@host/simple/six failed, password *** refused, *** used, https://***@host/x"
    assert redact("https://host/a@b and me@host") == "https://host/a@b and me@host"


def test_sources_tell_configurations_apart() -> None:
    assert PipConfiguration().sources() == PipConfiguration(index_url="https://pypi.org/simple").sources()
    assert PipConfiguration(no_index=True, find_links=("/w",)).sources() == ("/w",)
