"""Who may speak to whom: TLS for all that leaves this machine, plain connections on the loopback interface alone.

Dask checks that the other side shows a certificate of the same authority, not what host it names: whoever holds a
folder of certificates may join, and nobody else. So a folder holds one key for scheduler, workers and client.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .run_folder import RunError

AUTHORITY, CERTIFICATE, KEY = "ca.pem", "node.pem", "node-key.pem"
PROBE_SECONDS = 5.0
LOOPBACK = "127.0.0.1:0"
HOW = "`twinarm certificates FOLDER` makes them"


def make_certificates(folder: Path, days: int = 365) -> None:
    """Write an authority, and a certificate of it with its key, into a new folder that only its owner can read.

    The authority's own key is forgotten: nothing can be added to the folder later, a new folder replaces it.

    Raises
    ------
    RunError
        The folder holds something, or the library `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise RunError("certificates need the extra tls: pip install 'twinarm[tls]'") from None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is already there; give a new folder")
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    pem = serialization.Encoding.PEM
    authority = _certificate("twinarm authority", authority_key, authority_key, days)
    node = _certificate("twinarm node", key, authority_key, days)
    (folder / AUTHORITY).write_bytes(authority.public_bytes(pem))
    (folder / CERTIFICATE).write_bytes(node.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / KEY).touch(mode=0o600)
    (folder / KEY).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def _certificate(name: str, key: Any, authority_key: Any, days: int) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    is_authority = key is authority_key
    now = datetime.datetime.now(datetime.UTC)
    purposes = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twinarm authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks of two hosts differ
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                decipher_only=False,
                **purposes,
            ),
            critical=True,
        )
    )
    if not is_authority:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def security(folder: Path) -> Any:
    """Dask's settings of TLS for every side, from a folder of certificates.

    Raises
    ------
    RunError
        A file of the folder is missing, or is no certificate or key.
    """
    from distributed import Security

    files = {name: folder / name for name in (AUTHORITY, CERTIFICATE, KEY)}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        raise RunError(f"{folder} lacks {', '.join(missing)}; {HOW}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(files[AUTHORITY])
        context.load_cert_chain(files[CERTIFICATE], files[KEY])
    except (ssl.SSLError, OSError) as error:
        raise RunError(f"{folder} holds no usable certificates ({_reason(error)}); {HOW}") from None
    sides = {
        f"tls_{side}_{what}": str(files[name])
        for side in ("scheduler", "worker", "client")
        for what, name in (("cert", CERTIFICATE), ("key", KEY))
    }
    return Security(tls_ca_file=str(files[AUTHORITY]), require_encryption=True, **sides)


def reach(address: str, certificates: Path | None) -> Any:
    """Dask's security for a scheduler that answers at an address; None for a plain connection to this machine.

    Raises
    ------
    RunError
        As `secured`; nothing answers there, or the two sides do not trust each other's certificates.
    """
    host, port, found = secured(address, certificates)
    _probe(address, host, port, found)
    return found


def secured(address: str, certificates: Path | None) -> tuple[str, int, Any]:
    """Host, port and Dask's security of an address, before anything is sent there.

    Raises
    ------
    RunError
        The address is none, it would be a plain connection beyond the loopback interface, or the certificates are
        missing or unusable.
    """
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("tcp", "tls") or not host or not port:
        raise RunError(f"--scheduler {address!r} is no address; write tls://host:port, or tcp://127.0.0.1:port")
    if parts.scheme == "tcp" and not is_loopback(host):
        raise RunError(
            f"--scheduler {address!r} would be a plain connection beyond this machine; start scheduler and workers "
            f"with certificates and give tls://{host}:{port} and --certificates FOLDER ({HOW})"
        )
    if parts.scheme == "tls" and certificates is None:
        raise RunError(f"--scheduler {address!r} needs --certificates FOLDER, the same as its scheduler's; {HOW}")
    return host, port, security(certificates) if parts.scheme == "tls" and certificates is not None else None


def is_loopback(host: str) -> bool:
    """Whether every address of a host is this machine's own; a name that is not known is none of them."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(one.split("%")[0]).is_loopback for one in found)


def _probe(address: str, host: str, port: int, found: Any) -> None:
    """One connection, as far as the scheduler's first word: Dask itself would retry for long and say less."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as plain:
            talk = plain if found is None else found.get_connection_args("client")["ssl_context"].wrap_socket(plain)
            if not talk.recv(1):
                raise ConnectionResetError("the connection was closed")
    except ssl.SSLError as error:
        raise RunError(
            f"the scheduler at {address!r} and this process do not trust each other's certificates "
            f"({_reason(error)}); give --certificates the folder that its scheduler was started with"
        ) from None
    except OSError as error:
        raise RunError(
            f"no Dask scheduler answers at {address!r} ({_reason(error)}); start one and give its address, "
            "or leave --scheduler out"
        ) from None


def _reason(error: Exception) -> str:
    """What an error of the network says, in a few words."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()
