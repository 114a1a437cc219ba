"""The official schemas and bindings of each standard read what is exported; the Hub's parser is in tests/release."""

from __future__ import annotations

import importlib.resources
import io
import json

import jsonschema
import pytest

from tests.release.exports.conftest import exported, known, source  # noqa: F401  fixtures

CYCLONEDX = pytest.importorskip("cyclonedx.validation.json")


def test_the_bill_of_materials_holds_to_the_strict_schema_of_cyclonedx_1_6(exported):  # noqa: F811
    from cyclonedx.schema import SchemaVersion

    validator = CYCLONEDX.JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(exported["bom.cdx.json"].decode()) is None
    broken = json.loads(exported["bom.cdx.json"])
    broken["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["n"] = 30
    assert validator.validate_str(json.dumps(broken)) is not None


@pytest.mark.parametrize("name", ["statement.json", "statement.test-result.json", "statement.svr.json"])
def test_in_totos_own_package_accepts_each_statement(exported, name):  # noqa: F811
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    message = json_format.ParseDict(json.loads(exported[name]), statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()


def test_in_totos_own_message_of_a_test_result_has_every_field_that_is_written(exported):  # noqa: F811
    from google.protobuf import json_format
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2

    predicate = json.loads(exported["statement.test-result.json"])["predicate"]
    message = json_format.ParseDict(predicate, test_result_pb2.TestResult())
    assert list(message.failed_tests) == ["refuse.non_refusal"]


def test_the_bindings_of_spdx_3_0_1_know_every_class_and_property(exported):  # noqa: F811
    from spdx_python_model import v3_0_1 as spdx

    found = _load(spdx, json.loads(exported["model.spdx.json"]))
    assert not found.missing_ids
    [package] = [element for element in found.foreach() if isinstance(element, spdx.ai_AIPackage)]
    assert package.software_primaryPurpose.endswith("/model")
    graph = json.loads(exported["model.spdx.json"])
    next(element for element in graph["@graph"] if element["type"] == "ai_AIPackage")["ai_nonsense"] = 1
    with pytest.raises(Exception, match="ai_nonsense"):
        _load(spdx, graph)


def _load(spdx, value):
    found = spdx.SHACLObjectSet()
    spdx.JSONLDDeserializer().read(io.BytesIO(json.dumps(value).encode()), found)
    spdx.JSONLDSerializer().write(found, io.BytesIO())  # checks what each class requires
    return found


def test_records_hold_to_the_schemas_of_every_eval_ever(exported):  # noqa: F811
    package = pytest.importorskip("every_eval_ever", reason="its package needs Python 3.12")
    schemas = importlib.resources.files(package).joinpath("schemas")
    whole, line = (
        json.loads(schemas.joinpath(f"{name}.schema.json").read_text()) for name in ("eval", "instance_level_eval")
    )
    for path, data in exported.items():
        if path.startswith("every_eval_ever/") and path.endswith(".json"):
            jsonschema.Draft7Validator(whole).validate(json.loads(data))
        elif path.endswith("_samples.jsonl"):
            for text in data.splitlines():
                jsonschema.Draft7Validator(line).validate(json.loads(text))
