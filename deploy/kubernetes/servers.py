"""Kafka by Strimzi and PostgreSQL by CloudNativePG: topics, users, rights and databases as the code has them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from deploy.kafka import access, topics
from deploy.kafka.properties import broker_properties
from deploy.kubernetes.city import City, Manifest, manifest
from services.catalogue import WITH_DATABASE

KAFKA: Final = "skillplan"
KAFKA_PORT: Final = 9093
DATABASE: Final = "skillplan-db"
POOLER: Final = "skillplan-db-pooler"
SERVERS: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
BACKUPS: Final = "barman-cloud.cloudnative-pg.io"
# What of the broker's own file is not of listeners, disks and who it is, which the operator writes.
_OURS: Final = ("auto.", "offsets.", "transaction.", "share.", "group.", "default.", "min.")
_STRIMZI: Final = "kafka.strimzi.io/v1beta2"
_CNPG: Final = "postgresql.cnpg.io/v1"
_OF_THE_CLUSTER: Final = {"strimzi.io/cluster": KAFKA}
# By Kafka's numbers, which `access` has.
_OPERATIONS: Final = {3: "Read", 4: "Write", 6: "Delete"}
_RESOURCES: Final = {2: "topic", 3: "group"}
_PATTERNS: Final = {3: "literal", 4: "prefix"}
PARAMETERS: Final = {  # a parameter or a statement may hold a person
    "log_parameter_max_length_on_error": "0",
    "log_parameter_max_length": "0",
    "log_min_error_statement": "panic",
    "password_encryption": "scram-sha-256",
    "max_wal_size": "1GB",
    "timezone": "UTC",
}


def broker_settings(brokers: int) -> dict[str, str | int | bool]:
    """Return what the operator does not write itself of deploy/kafka/server.properties, on several brokers."""
    return {
        name: int(value) if value.isdecimal() else value == "true" if value in ("true", "false") else value
        for name, value in broker_properties(brokers).items()
        if name.startswith(_OURS)
    }


def kafka(city: City) -> list[Manifest]:
    """Write the brokers: each also a controller, spread over zones, the doors by password and TLS alone."""
    door = {"tls": True, "authentication": {"type": "scram-sha-512"}}
    of_ours = [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "skillplan"}}}]
    keda = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]
    pod = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}
    disk = {"type": "persistent-claim", "size": city.kafka.storage, "deleteClaim": False}
    if city.kafka.storage_class:
        disk["class"] = city.kafka.storage_class
    return [
        manifest(
            _STRIMZI, "KafkaNodePool", "brokers", labels=_OF_THE_CLUSTER,
            spec={
                "replicas": city.kafka.brokers,
                "roles": ["controller", "broker"],
                "storage": {"type": "jbod", "volumes": [disk | {"id": 0, "kraftMetadata": "shared"}]},
                "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
                "jvmOptions": {"-Xms": "1g", "-Xmx": "1g"},
                "template": {"pod": pod, "kafkaContainer": {"securityContext": SERVERS}},
            },
        ),
        manifest(
            _STRIMZI, "Kafka", KAFKA,
            annotations={"strimzi.io/kraft": "enabled", "strimzi.io/node-pools": "enabled"},
            spec={
                "kafka": {
                    "listeners": [
                        {"name": "inside", "port": KAFKA_PORT, "type": "internal"}
                        | door | {"networkPolicyPeers": of_ours + keda},
                        {"name": "outside", "port": 9094, "type": "loadbalancer"}
                        | door
                        | {
                            "networkPolicyPeers": [
                                {"ipBlock": {"cidr": network}} for network in city.kafka.from_addresses
                            ],
                            "configuration": {
                                "bootstrap": {"alternativeNames": [city.kafka.host]},
                                "externalTrafficPolicy": "Local",
                                "loadBalancerSourceRanges": list(city.kafka.from_addresses),
                            },
                        },
                    ],
                    "authorization": {"type": "simple"},
                    "rack": {"topologyKey": "topology.kubernetes.io/zone"},
                    "config": broker_settings(city.kafka.brokers),
                },
                "entityOperator": {
                    "topicOperator": {},
                    "userOperator": {},
                    "template": {
                        "pod": pod,
                        "topicOperatorContainer": {"securityContext": SERVERS},
                        "userOperatorContainer": {"securityContext": SERVERS},
                    },
                },
            },
        ),
    ]  # fmt: skip


def kafka_topics(city: City) -> list[Manifest]:
    """Write every topic of deploy/kafka/topics.py, on three brokers, two of which have what is acknowledged."""
    return [
        manifest(
            _STRIMZI, "KafkaTopic", topic.name, labels=_OF_THE_CLUSTER,
            spec={
                "topicName": topic.name,
                "partitions": topic.partitions,
                "replicas": 3,
                "config": topic.config | {"min.insync.replicas": "2"},
            },
        )
        for topic in topics.wanted(city.districts)
    ]  # fmt: skip


def kafka_users(city: City) -> list[Manifest]:
    """Write every user of deploy/kafka/access.py with its rights, and quotas for those that are none of our services.

    Strimzi makes a Secret of the user's name with its password: a district's is handed to the district.
    """
    rights: defaultdict[str, list[access.Right]] = defaultdict(list)
    for right in sorted(access.rights(city.districts)):
        rights[right.user].append(right)
    producer, consumer, request = access.QUOTAS.values()
    quotas = {"producerByteRate": int(producer), "consumerByteRate": int(consumer), "requestPercentage": int(request)}
    return [
        manifest(
            _STRIMZI, "KafkaUser", user, labels=_OF_THE_CLUSTER,
            spec={
                "authentication": {"type": "scram-sha-512"},
                "authorization": {"type": "simple", "acls": [_acl(right) for right in rights[user]]},
            } | ({} if user in WITH_DATABASE else {"quotas": quotas}),
        )
        for user in access.users(city.districts)
    ]  # fmt: skip


def _acl(right: access.Right) -> Manifest:
    kind, pattern = _RESOURCES[right.resource], _PATTERNS[right.pattern]
    return {
        "resource": {"type": kind, "name": right.name, "patternType": pattern},
        "operations": [_OPERATIONS[right.operation]],
        "host": "*",
    }


def postgres(city: City) -> list[Manifest]:
    """Write the database server: three instances, a commit waits for one of the others, roles and databases."""
    disk = {"size": city.database.storage}
    if city.database.storage_class:
        disk["storageClass"] = city.database.storage_class
    roles = {role: service for service in WITH_DATABASE for role in (service, f"{service}_owner")}
    enter = [f"host {service} {service},{service}_owner all scram-sha-256" for service in WITH_DATABASE]
    locale = dict.fromkeys(("localeCollate", "localeCType"), "C.UTF-8")
    cluster = manifest(
        _CNPG, "Cluster", DATABASE,
        spec={
            "instances": city.database.instances,
            # CloudNativePG's own list of images, each named by version and digest; newer patches come with the list.
            "imageCatalogRef": {
                "apiGroup": _CNPG.partition("/")[0],
                "kind": "ClusterImageCatalog",
                "name": "postgresql-minimal-trixie",
                "major": 17,
            },
            "primaryUpdateStrategy": "unsupervised",
            "bootstrap": {"initdb": {"dataChecksums": True, "encoding": "UTF8"} | locale},
            "storage": disk,
            "postgresql": {
                "parameters": PARAMETERS | {"max_connections": str(city.database.connections)},
                "synchronous": {"method": "any", "number": 1, "dataDurability": "required"},
                # A service's roles enter its own database and no other.
                "pg_hba": [*enter, *(f"host all {role} all reject" for role in roles)],
            },
            "managed": {
                "roles": [
                    {"name": role, "ensure": "present", "login": True, "inherit": True,
                     "passwordSecret": {"name": role_secret(role)}}
                    for role in roles
                ]
            },
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "affinity": {"enablePodAntiAffinity": True, "topologyKey": "topology.kubernetes.io/zone"},
            "plugins": [
                {"name": BACKUPS, "isWALArchiver": True, "parameters": {"barmanObjectName": "backups"}}
            ],
        },
    )  # fmt: skip
    databases = [
        manifest(
            _CNPG, "Database", service,
            spec={
                "name": service, "owner": f"{service}_owner", "template": "template0", "encoding": "UTF8",
                "cluster": {"name": DATABASE}, "databaseReclaimPolicy": "retain",
            },
        )
        for service in WITH_DATABASE
    ]  # fmt: skip
    return [cluster, *databases, *_backups(city), *_pooler(city)]


def role_secret(role: str) -> str:
    """Return the name of the Secret with the password of a role."""
    return f"db-{role.replace('_', '-')}"


def _backups(city: City) -> list[Manifest]:
    backup = city.database.backup
    keys = {"accessKeyId": "ACCESS_KEY_ID", "secretAccessKey": "ACCESS_SECRET_KEY"}
    store = {
        "destinationPath": backup.destination,
        "endpointURL": backup.endpoint,
        "s3Credentials": {setting: {"name": backup.secret, "key": key} for setting, key in keys.items()},
        "wal": {"compression": "gzip", "encryption": "AES256"},
        "data": {"compression": "gzip", "encryption": "AES256"},
    }
    return [
        manifest(
            "barmancloud.cnpg.io/v1", "ObjectStore", "backups",
            spec={"retentionPolicy": backup.retention, "configuration": store},
        ),
        manifest(
            _CNPG, "ScheduledBackup", "nightly",
            spec={
                "schedule": backup.schedule, "immediate": True, "backupOwnerReference": "cluster",
                "cluster": {"name": DATABASE}, "method": "plugin", "pluginConfiguration": {"name": BACKUPS},
            },
        ),
    ]  # fmt: skip


def _pooler(city: City) -> list[Manifest]:
    if city.database.pooler == "none":
        return []
    # What a session asks of its plans is ignored by the pooler, which would refuse the connection otherwise.
    ignored = "jit,enable_seqscan,enable_hashjoin,enable_mergejoin,plan_cache_mode,synchronous_commit"
    return [
        manifest(
            _CNPG, "Pooler", POOLER,
            spec={
                "cluster": {"name": DATABASE}, "instances": 2, "type": "rw",
                "pgbouncer": {
                    "poolMode": city.database.pooler,
                    "parameters": {
                        "ignore_startup_parameters": f"extra_float_digits,options,{ignored}",
                        "max_client_conn": str(2 * city.database.connections),
                    },
                },
            },
        )
    ]  # fmt: skip
