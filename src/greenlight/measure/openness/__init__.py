"""How open is a release? What of it is published under which licence, and the class that this comes to."""

from greenlight.measure.openness.classify import Openness, classify
from greenlight.measure.openness.release import Release, Released, read_release, template

__all__ = ["Openness", "Release", "Released", "classify", "read_release", "template"]
