"""Makes a CA and the certificate that servers show under it: for who has none of their own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.refusal import LocalError

_YEARS = timedelta(days=3650)
# Brokers, and other servers of three hosts, also come to one another by it.
_BOTH_SIDES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True)
class Certificates:
    """PEM texts: what clients trust, and what only the server may read (its key and its certificate)."""

    ca: bytes
    server: bytes


def make(names: Iterable[str], of: str = "Kafka") -> Certificates:
    """Make both for servers that are reached under these host names and addresses; `of`: what the CA is called after.

    The CA's own key is not kept: nothing else can be signed with it.
    """
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name(f"Skillplan {of} CA")
    ca = (
        _begun(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        _begun(_name(of.lower()), ca_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_BOTH_SIDES), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return Certificates(ca.public_bytes(serialization.Encoding.PEM), private + pem)


def ends_at(pem: bytes) -> datetime:
    """Return when the first of some certificates ends; raises ValueError where there is none."""
    return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem))


def check(name: str, pem: str) -> None:
    """Refuse what is no certificate, or one that nobody would take any more; `name`: of its file among the secrets."""
    try:
        ends = ends_at(pem.encode())
    except ValueError:
        raise LocalError(f"密钥文件 {name} 中没有证书。", f"the secret file {name} holds no certificate.") from None
    if ends < datetime.now(UTC):
        raise LocalError(
            f"证书 {name} 已于 {ends:%Y-%m-%d} 过期,请换新。",
            f"the certificate {name} expired on {ends:%Y-%m-%d}; renew it.",
        )


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _YEARS)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
