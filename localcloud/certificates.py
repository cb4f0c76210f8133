# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's own certificate authority, which the hosts trust, and the server certificates that it signs.

The authority outlives every run of the cloud: its certificate is part of the host image, which is cached.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud import settings

ServerKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_AUTHORITY_NAME: Final = "academy.deploy embedded cloud"
_AUTHORITY_LIFETIME: Final = timedelta(days=3650)
_SERVER_LIFETIME: Final = timedelta(days=397)
# An authority that is about to end would fail a cloud that stays up for long.
_AUTHORITY_RESERVE: Final = _SERVER_LIFETIME
# The clocks of a machine and of its containers are one, but a certificate of this very second still looks too young.
_BACKDATE: Final = timedelta(minutes=5)


class Certificate(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def ensure_authority(certificate_path: Path = settings.CA_CERTIFICATE, key_path: Path = settings.CA_KEY) -> Certificate:
    """The authority of this machine, made when there is none, or when it soon ends."""
    if certificate_path.exists() and key_path.exists():
        authority = Certificate(certificate_path.read_bytes(), key_path.read_bytes())
        if x509.load_pem_x509_certificate(authority.certificate).not_valid_after_utc > _now() + _AUTHORITY_RESERVE:
            return authority
    authority = create_authority()
    certificate_path.parent.mkdir(parents=True, exist_ok=True)
    _write(key_path, authority.key, mode=0o600)
    _write(certificate_path, authority.certificate, mode=0o644)
    return authority


def issue(names: Iterable[str], ips: Iterable[IPv4Address | str] = ()) -> Certificate:
    """A server certificate for these DNS names and addresses, signed by the authority of this machine."""
    return sign(ensure_authority(), names, ips)


def create_authority() -> Certificate:
    """A new certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _AUTHORITY_NAME)])
    certificate = (
        _builder(name, name, key.public_key(), _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def sign(
    authority: Certificate,
    names: Iterable[str],
    ips: Iterable[IPv4Address | str] = (),
    *,
    key: ServerKey | None = None,
) -> Certificate:
    """A server certificate for these DNS names and addresses, signed by the given authority; with a key if given."""
    subject_names: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    subject_names += [x509.IPAddress(IPv4Address(ip)) for ip in ips]
    if not subject_names:
        raise ValueError("A server certificate needs at least one name or address.")
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"The authority's key is a {type(issuer_key).__name__}, not the elliptic-curve key we make.")
    key = key or ec.generate_private_key(ec.SECP256R1())
    # The names stand in the extension; a common name could hold only 64 characters of them.
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, _AUTHORITY_NAME)])
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), _SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            _usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPrivateKey)), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(subject_names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _pem(certificate, key)


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a PEM certificate, in hex."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ServerKey) -> Certificate:
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that nobody sees half-written, and a key that nobody else could ever open."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    new.replace(path)


def _now() -> datetime:
    return datetime.now(UTC)
