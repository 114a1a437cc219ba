"""Where weights come from: names and references, the catalog, the cache, downloads, digests."""

from greenlight.hub.cache import Cached, cached, find, remove
from greenlight.hub.catalog import Entry, catalog
from greenlight.hub.digests import digest, file_digests
from greenlight.hub.pull import Progress, pull, resolve
from greenlight.hub.reference import (
    CatalogReference,
    EndpointReference,
    HubReference,
    PathReference,
    Reference,
    parse_reference,
)

__all__ = [
    "Cached",
    "CatalogReference",
    "EndpointReference",
    "Entry",
    "HubReference",
    "PathReference",
    "Progress",
    "Reference",
    "cached",
    "catalog",
    "digest",
    "file_digests",
    "find",
    "parse_reference",
    "pull",
    "remove",
    "resolve",
]
