# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ssl
import stat
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from localcloud import certificates
from localcloud.certificates import Certificate, create_authority, ensure_authority, fingerprint, sign

NAMES = ["*.ap-northeast-2.amazonaws.com", "academy-db.abc.ap-northeast-2.rds.amazonaws.com"]
ADDRESS = IPv4Address("172.31.0.2")


@pytest.fixture(scope="module")
def authority() -> Certificate:
    return create_authority()


def test_the_authority_is_made_once_and_its_key_is_secret(tmp_path: Path) -> None:
    paths = (tmp_path / "state/ca.pem", tmp_path / "state/ca.key")
    first = ensure_authority(*paths)
    assert ensure_authority(*paths) == first
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o644, 0o600]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["ca.key", "ca.pem"]


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key"])
def test_half_an_authority_is_replaced_whole(tmp_path: Path, lost: str) -> None:
    paths = (tmp_path / "ca.pem", tmp_path / "ca.key")
    first = ensure_authority(*paths)
    (tmp_path / lost).unlink()
    second = ensure_authority(*paths)
    assert second.certificate != first.certificate
    assert sign(second, ["x.example.com"])


def test_an_authority_that_soon_ends_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = (tmp_path / "ca.pem", tmp_path / "ca.key")
    monkeypatch.setattr(certificates, "_AUTHORITY_LIFETIME", timedelta(days=300))
    first = ensure_authority(*paths)
    monkeypatch.undo()
    assert ensure_authority(*paths) != first


def test_a_server_certificate_names_what_it_was_asked_for(authority: Certificate) -> None:
    certificate = x509.load_pem_x509_certificate(sign(authority, NAMES, [ADDRESS]).certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES
    assert names.get_values_for_type(x509.IPAddress) == [ADDRESS]


def test_a_certificate_for_nobody_is_refused(authority: Certificate) -> None:
    with pytest.raises(ValueError, match="at least one name or address"):
        sign(authority, [])


def test_a_client_that_trusts_the_authority_accepts_the_server(authority: Certificate, tmp_path: Path) -> None:
    server = sign(authority, NAMES)
    files = {"ca": authority.certificate, "crt": server.certificate, "key": server.key}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    client_context = ssl.create_default_context(cafile=str(tmp_path / "ca"))
    # What newer Pythons ask of every certificate.
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT

    to_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, from_server, server_hostname="sqs.ap-northeast-2.amazonaws.com")
    peer = server_context.wrap_bio(from_server, to_client, server_side=True)
    for end in (client, peer, client, peer):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.getpeercert()


def test_the_fingerprint_tells_authorities_apart(authority: Certificate) -> None:
    assert fingerprint(authority.certificate) == fingerprint(authority.certificate)
    assert fingerprint(authority.certificate) != fingerprint(create_authority().certificate)
