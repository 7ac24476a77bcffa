"""The secrets of a city as Secrets for `kubectl apply -f -`."""

from __future__ import annotations

from pathlib import Path

from deploy.kubernetes.city import City, Manifest, manifest
from deploy.kubernetes.processes import SECRETS
from deploy.kubernetes.servers import DATABASE, POOLER, role_secret
from deploy.secrets.kept import KEYS, KeptSecrets
from services.catalogue import SERVICES, WITH_DATABASE


def secret_manifests(city: City, folder: Path) -> list[Manifest]:
    """Write the Secrets that neither Strimzi, CloudNativePG nor cert-manager makes; `folder` keeps them."""
    kept_secrets, made = KeptSecrets(folder), list[Manifest]()
    made.append(_secret("skillplan-keys", {KEYS: kept_secrets.key_file()}))
    for service in SERVICES:
        files = kept_secrets.files(service)
        if service in WITH_DATABASE:
            owner = f"{service}_owner"
            role, its_owner = kept_secrets.password(f"{service}.pg"), kept_secrets.password(f"{service}.pg_owner")
            through = f"{DATABASE}-rw" if city.database.pooler == "none" else POOLER
            files |= {"skillplan_pg_dsn": _dsn(service, role, through, service), "kafka_user": service}
            migration = {"skillplan_pg_owner_dsn": _dsn(owner, its_owner, f"{DATABASE}-rw", service)}
            made += [
                _secret(f"{service}-migration", migration),
                _secret(role_secret(service), {"username": service, "password": role}, "kubernetes.io/basic-auth"),
                _secret(role_secret(owner), {"username": owner, "password": its_owner}, "kubernetes.io/basic-auth"),
            ]
        made.append(_secret(f"{service}-settings", files))
    return made


def _secret(name: str, texts: dict[str, str], kind: str = "Opaque") -> Manifest:
    return manifest("v1", "Secret", name, type=kind, stringData=texts)


def _dsn(role: str, password: str, host: str, database: str) -> str:
    # The pooler shows the server's certificate, which has another name.
    check = "verify-ca" if host == POOLER else "verify-full"
    trust = f"sslmode={check}&sslrootcert={SECRETS}/database-ca.crt"
    return f"postgresql://{role}:{password}@{host}:5432/{database}?{trust}"
