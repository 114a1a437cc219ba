"""Where weights come from: names and references, the catalog, the cache, downloads, digests."""

from greenlight.hub.cache import Cached, cached, find, remove, revision
from greenlight.hub.catalog import Entry, catalog
from greenlight.hub.datasets import PREFIX as DATA_PREFIX
from greenlight.hub.datasets import DataSet, Pulled, datasets, pull_data
from greenlight.hub.digests import adapter_digests, digest, digest_of, file_digests, remember
from greenlight.hub.pull import Notice, Progress, pull, resolve
from greenlight.hub.reference import (
    AdapterReference,
    CatalogReference,
    EndpointReference,
    HubReference,
    PathReference,
    Reference,
    parse_reference,
)

__all__ = [
    "DATA_PREFIX",
    "AdapterReference",
    "Cached",
    "CatalogReference",
    "DataSet",
    "EndpointReference",
    "Entry",
    "HubReference",
    "Notice",
    "PathReference",
    "Progress",
    "Pulled",
    "Reference",
    "adapter_digests",
    "cached",
    "catalog",
    "datasets",
    "digest",
    "digest_of",
    "file_digests",
    "find",
    "parse_reference",
    "pull",
    "pull_data",
    "remember",
    "remove",
    "resolve",
    "revision",
]
