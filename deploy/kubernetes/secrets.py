"""The secrets of a city: made once in a folder of the operator's, and written as Secrets for `kubectl apply -f -`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from deploy.kubernetes.city import City, Manifest, manifest
from deploy.kubernetes.processes import SECRETS
from deploy.kubernetes.servers import DATABASE, POOLER, role_secret
from services.catalogue import DOMAIN_SERVICES, SERVICES, WITH_DATABASE
from shared.http.api_keys import KeyFile, Role


def secret_manifests(city: City, folder: Path) -> list[Manifest]:
    """Write the Secrets that neither Strimzi, CloudNativePG nor cert-manager makes.

    `folder` keeps each in a file of the name that SKILLPLAN_OWN_SECRETS has for it (.env.example); what is missing is
    made. Without these files what they seal stays sealed: they belong into a safe, and into no repository.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(name: str, make: Callable[[], str]) -> str:
        file = folder / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(make(), encoding="utf-8")
        return file.read_text(encoding="utf-8").strip()

    def key() -> str:
        return secrets.token_hex(32)

    def password() -> str:
        return secrets.token_urlsafe(24)

    pepper, city_key, made = take("key_pepper", key), take("city_key", key), list[Manifest]()
    key_file = folder / "keys.json"
    api_key = take("api_key", lambda: _first_key(key_file, pepper))
    made.append(_secret("skillplan-keys", {"keys.json": key_file.read_text(encoding="utf-8")}))
    for service, entry in SERVICES.items():
        files = {"skillplan_key_pepper": pepper}
        if service in WITH_DATABASE:
            owner = f"{service}_owner"
            role, its_owner = take(f"{service}.pg", password), take(f"{service}.pg_owner", password)
            through = f"{DATABASE}-rw" if city.database.pooler == "none" else POOLER
            files |= {"skillplan_pg_dsn": _dsn(service, role, through, service), "kafka_user": service}
            migration = {"skillplan_pg_owner_dsn": _dsn(owner, its_owner, f"{DATABASE}-rw", service)}
            made += [
                _secret(f"{service}-migration", migration),
                _secret(role_secret(service), {"username": service, "password": role}, "kubernetes.io/basic-auth"),
                _secret(role_secret(owner), {"username": owner, "password": its_owner}, "kubernetes.io/basic-auth"),
            ]
            if entry.addresses:
                files["skillplan_api_key"] = api_key
        if service in DOMAIN_SERVICES:
            files |= {
                "skillplan_city_key": city_key,
                "skillplan_service_key": take(f"{service}.key", key),
                "skillplan_log_key": take(f"{service}.log_key", key),
            }
        files |= {f"skillplan_{name}": take(name, key) for name in entry.keys}
        made.append(_secret(f"{service}-settings", files))
    return made


def _secret(name: str, texts: dict[str, str], kind: str = "Opaque") -> Manifest:
    return manifest("v1", "Secret", name, type=kind, stringData=texts)


def _dsn(role: str, password: str, host: str, database: str) -> str:
    # The pooler shows the server's certificate, which has another name.
    check = "verify-ca" if host == POOLER else "verify-full"
    trust = f"sslmode={check}&sslrootcert={SECRETS}/database-ca.crt"
    return f"postgresql://{role}:{password}@{host}:5432/{database}?{trust}"


def _first_key(file: Path, pepper: str) -> str:
    """Make the key that services show to each other; keys of people join it in the same file."""
    keys = KeyFile(file, pepper)
    if not file.exists():
        keys.create()
    return keys.add(Role.SERVICE, label="kubernetes")[1]
