"""Kubeconfigs as kubectl reads them, and what is wrong with others."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shipway.cluster.kubernetes.api.credentials import Access, read
from shipway.cluster.kubernetes.api.login import Certificate, Credential
from shipway.errors import EnvironmentFault, NotFound, UserError


def config(folder: Path, name: str = "config", *, user: Any = None, cluster: Any = None, **more: Any) -> Path:
    """A kubeconfig with one context "prod"."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "anna", "namespace": "ml"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "anna", "user": user or {}}],
        **more,
    }
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def credential(access: Access) -> Credential:
    return asyncio.run(access.login.credential())


def b64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def test_the_current_context(tmp_path: Path) -> None:
    path = config(tmp_path, user={"token": "secret"})
    access = read("", str(path), {})
    assert (access.server.url, access.server.context, access.namespace) == ("https://10.0.0.1:6443", "prod", "ml")
    assert credential(access).header == "Bearer secret"
    assert access.server.identity == f'the token of user "anna" of the kubeconfig {path}'
    assert "secret" not in repr(access) + repr(credential(access))


def test_of_several_files_the_first_to_name_a_thing_wins_and_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one/ca.crt").write_text("the authorities of one")
    (tmp_path / "two/token").write_text("the token of two\n")
    context = {"name": "dev", "context": {"cluster": "c", "user": "ben"}}
    first = config(tmp_path / "one", cluster={"certificate-authority": "ca.crt"}, users=[], contexts=[context])
    second = config(
        tmp_path / "two",
        cluster={"server": "https://elsewhere"},
        users=[{"name": "ben", "user": {"tokenFile": "token"}}],
        contexts=[{"name": "dev", "context": {"cluster": "nowhere"}}],
        **{"current-context": "nothing"},
    )
    access = read("dev", "", {"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"})
    assert access.server.url == "https://10.0.0.1:6443"
    assert access.tls.authorities == b"the authorities of one"
    assert access.namespace == "default"
    assert credential(access).header == "Bearer the token of two"


def test_the_file_in_the_home_is_the_last_to_be_looked_for(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    config(tmp_path / ".kube")
    assert read("", "", {"HOME": str(tmp_path)}).server.context == "prod"


def test_a_token_file_that_is_rotated_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    access = read("", str(config(tmp_path, user={"tokenFile": "token", "token": "an old copy"})), {})
    assert credential(access).header == "Bearer first"
    (tmp_path / "next").write_text("second")
    (tmp_path / "next").replace(token)
    assert credential(access).header == "Bearer second"
    token.unlink()
    with pytest.raises(EnvironmentFault, match=r"the token file .*/token cannot be read: No such file"):
        credential(access)


def test_client_certificates_as_data_and_as_files(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("the key")
    user = {"client-certificate-data": b64(b"the chain"), "client-key": "key.pem", "token": "t"}
    access = read("", str(config(tmp_path, user=user)), {})
    assert credential(access) == Credential("Bearer t", Certificate(b"the chain", b"the key"))
    assert "client certificate of user" in access.server.identity


def test_a_password(tmp_path: Path) -> None:
    access = read("", str(config(tmp_path, user={"username": "anna", "password": "pw"})), {})
    assert credential(access).header == f"Basic {b64(b'anna:pw')}"


def test_tls_of_the_cluster(tmp_path: Path) -> None:
    cluster = {"certificate-authority-data": b64(b"PEM"), "tls-server-name": "kubernetes"}
    access = read("", str(config(tmp_path, cluster=cluster)), {})
    assert (access.tls.authorities, access.tls.server_name, access.tls.insecure) == (b"PEM", "kubernetes", False)
    assert read("", str(config(tmp_path, cluster={"insecure-skip-tls-verify": True})), {}).tls.insecure


@pytest.mark.parametrize(
    "environment, proxy",
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128", "NO_PROXY": "example.com,10.0.0.0/8"}, ""),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "10.0.0.1"}, ""),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "*"}, ""),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "0.0.1, .com"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, ""),
    ],
)
def test_the_proxy_of_the_environment(tmp_path: Path, environment: dict[str, str], proxy: str) -> None:
    assert read("", str(config(tmp_path)), environment).proxy == proxy


def test_the_proxy_of_the_cluster_comes_first(tmp_path: Path) -> None:
    path = config(tmp_path, cluster={"proxy-url": "http://anna:pw@inner:3128"})
    access = read("", str(path), {"HTTPS_PROXY": "http://outer:3128"})
    assert access.proxy == "http://anna:pw@inner:3128"
    assert "pw" not in repr(access)
    config(tmp_path, cluster={"proxy-url": "socks5://localhost:1080"})
    with pytest.raises(EnvironmentFault, match=r"this one is socks5://"):
        read("", str(path), {})


def test_inside_of_a_pod(tmp_path: Path) -> None:
    for name, text in {"token": "pod token\n", "ca.crt": "PEM", "namespace": "ml\n"}.items():
        (tmp_path / name).write_text(text)
    inherited = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}
    access = read("", "", inherited, service_account=tmp_path)
    assert (str(access.server), access.namespace) == ("cluster https://[fd00::1]:443", "ml")
    assert access.tls.authorities == b"PEM"
    assert credential(access).header == "Bearer pod token"


def test_no_such_context_names_those_there_are(tmp_path: Path) -> None:
    path = config(tmp_path)
    with pytest.raises(NotFound) as caught:
        read("staging", str(path), {})
    assert caught.value.message == f'There is no context "staging" in the kubeconfig {path}.'
    assert caught.value.next_step == "There are: prod."


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no kubeconfig .*/none\."):
        read("", str(tmp_path / "none"), {})
    with pytest.raises(NotFound, match=r"\$KUBECONFIG names .*/none, and there is no such file"):
        read("", "", {"KUBECONFIG": str(tmp_path / "none")})
    with pytest.raises(NotFound, match="neither"):
        read("", "", {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "text, message",
    [
        ("contexts:\n- name: prod\n  context: {cluster: c\nusers: [{token: secret}]\n", ":4 is not YAML"),
        ("users:\n\t- token: secret", ":2 is not YAML"),
        ("\x00\x01", " is not YAML"),
        ("- a\n- list", "is no kubeconfig"),
        ("", "is no kubeconfig"),
        ("contexts: {}\ncurrent-context: prod", "contexts must be a list"),
        ("contexts: [prod]\ncurrent-context: prod", "each of contexts must be a mapping"),
        ("contexts: []", "has no current context"),
    ],
)
def test_what_is_no_kubeconfig_says_file_and_line_and_nothing_of_its_content(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read("", str(path), {})
    assert str(path) in caught.value.message and message in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(UserError, match="larger than 4 MiB"):
        read("", str(path), {})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"contexts": [{"name": "prod", "context": {"cluster": "x"}}]}, 'names a cluster "x" that is not there'),
        ({"users": []}, 'names a user "anna" that is not there'),
        ({"user": {"client-certificate-data": b64(b"x")}}, "has a client-certificate and no client-key"),
        ({"user": {"client-key-data": "%%%"}}, "client-key-data is not base64"),
        ({"user": {"token": 12}}, "token must be text, and is int"),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "the auth-provider gcp was taken out"),
        ({"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}}, "exec has no command"),
        (
            {"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "aws"}}},
            'exec has apiVersion "client.authentication.k8s.io/v1alpha1"',
        ),
        ({"cluster": {"server": "10.0.0.1:6443"}}, 'server "10.0.0.1:6443" is no URL'),
        ({"cluster": {"server": "https://h:99999"}}, "is no URL"),
        ({"cluster": {"insecure-skip-tls-verify": True, "certificate-authority-data": b64(b"x")}}, "has both"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_file(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = config(tmp_path, **change)
    with pytest.raises(UserError) as caught:
        read("", str(path), {})
    assert str(path) in caught.value.message and message in caught.value.message


def test_a_certificate_authority_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"the certificate authority .*/ca\.crt cannot be read"):
        read("", str(config(tmp_path, cluster={"certificate-authority": "ca.crt"})), {})
