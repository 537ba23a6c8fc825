"""A pipeline's Kafka settings for kafka-python: the Java client's property names go in, keyword arguments come out."""

import re
import ssl
from typing import Any

from mitra.errors import MitraError
from mitra.pipeline import Pipeline

_NAMES = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.kerberos.service.name": "sasl_kerberos_service_name",
    "client.id": "client_id",
}
_JAAS_OPTION = re.compile(r'\b(username|password)\s*=\s*(?:"([^"]*)"|\'([^\']*)\'|([^\s;]+))')
_FIXED = {"security.protocol", "sasl.mechanism", "sasl.jaas.config"}


def client_settings(pipeline: Pipeline) -> dict[str, Any]:
    """Return keyword arguments for a client of kafka-python that reaches the pipeline's Kafka.

    Properties that only concern the job's own connector, such as buffer sizes, are left out. Raises MitraError for a
    trust store that Python can't read.
    """
    properties = pipeline.kafka_properties
    settings: dict[str, Any] = {"bootstrap_servers": [server.strip() for server in pipeline.bootstrap.split(",")]}
    settings |= {ours: properties[theirs] for theirs, ours in _NAMES.items() if theirs in properties}
    for name, quoted, single, plain in _JAAS_OPTION.findall(properties.get("sasl.jaas.config", "")):
        settings[f"sasl_plain_{name}"] = quoted or single or plain
    if "SSL" in properties.get("security.protocol", ""):
        settings["ssl_context"] = _ssl_context(properties)
    return settings


def _ssl_context(properties: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if properties.get("ssl.endpoint.identification.algorithm") == "":
        context.check_hostname = False
    for key in ("ssl.truststore.location", "ssl.keystore.location"):
        location = properties.get(key)
        if not location:
            continue
        if properties.get(key.replace("location", "type"), "JKS").upper() != "PEM":
            raise MitraError(f"{key}={location} is no PEM file; this command reads PEM only: add {key[:-8]}type: PEM")
        try:
            if "trust" in key:
                context.load_verify_locations(location)
            else:
                context.load_cert_chain(location, password=properties.get("ssl.key.password"))
        except (OSError, ssl.SSLError) as error:
            raise MitraError(f"{key}={location} cannot be read: {error}") from error
    return context
