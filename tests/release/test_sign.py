import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from greenlight.errors import EvidenceError, UnsupportedError
from greenlight.release.difference import DifferenceError
from greenlight.release.sign import check_signature, sign
from greenlight.release.verify import verify


def write_pair(folder, name="key"):
    """A key of the curve P-256 and its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    encoding = serialization.Encoding.PEM
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def signed(bundle, pair):
    sign(bundle, pair[0])
    return bundle


def test_a_signed_bundle_is_the_same_and_its_signature_is_checked_by_the_key(signed, pair):
    found = verify(signed, public_key=pair[1])
    assert found.same, found.difference
    assert "signature: made with key.pub.pem, over every file" in found.checks
    found = verify(signed)
    assert found.same
    assert "signed, and the signature was not checked: give --public-key" in found.notes


def test_it_holds_wherever_the_folder_is_moved(signed, pair, tmp_path):
    moved = shutil.move(signed, tmp_path / "elsewhere")
    check_signature(moved, pair[1])


def test_a_folder_may_be_named_from_where_one_stands(bundle, pair, monkeypatch):
    monkeypatch.chdir(bundle.parent)
    sign(Path(bundle.name), pair[0])
    assert verify(Path(bundle.name), public_key=pair[1]).same
    monkeypatch.chdir(bundle)
    check_signature(Path(), pair[1])


def test_the_packages_own_command_accepts_both_signatures(bundle, pair, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w")
    (tmp_path / "model" / ".gitattributes").write_text("* text")
    weights = sign(tmp_path / "model", pair[0], tmp_path / "weights.sig", git_files=False)
    for subject, signature in ((bundle, sign(bundle, pair[0])), (tmp_path / "model", weights)):
        command = [sys.executable, "-m", "model_signing", "verify", "key", "--signature", signature]
        result = subprocess.run([*command, "--public_key", pair[1], subject], capture_output=True, text=True)
        assert result.stdout == "Verification succeeded\n", result.stderr


@pytest.mark.parametrize("change", ["a byte", "a file more", "a hidden file more", "a file less"])
def test_whatever_is_not_what_was_signed_is_told(signed, pair, change):
    match change:
        case "a byte":
            path = signed / "policy.toml"
            path.write_bytes(path.read_bytes() + b"\n")
        case "a file less":
            (signed / "run.json").unlink()
        case _:
            (signed / (".gitignore" if "hidden" in change else "more.json")).write_text("{}")
    with pytest.raises(DifferenceError, match=r"model\.sig"):
        check_signature(signed, pair[1])
    assert not verify(signed, public_key=pair[1]).same


def test_another_key_no_signature_and_a_damaged_one_are_told_apart(bundle, signed, pair, tmp_path):
    other = write_pair(tmp_path, "other")[1]
    assert "Key mismatch" in verify(signed, public_key=other).difference
    (signed / "model.sig").write_text("{}")
    assert "model.sig" in verify(signed, public_key=pair[1]).difference
    (signed / "model.sig").unlink()
    assert verify(signed, public_key=pair[1]).difference == "model.sig: there is no signature"


def test_what_is_no_key_is_refused_with_a_remedy(signed, pair, tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(EvidenceError) as caught:
        sign(signed, junk)
    assert "openssl" in caught.value.do
    with pytest.raises(EvidenceError):
        sign(signed, tmp_path / "missing.pem")
    with pytest.raises(EvidenceError, match="no such key"):
        check_signature(signed, tmp_path / "missing.pem")
    assert not verify(signed, public_key=junk).same


def test_one_file_can_be_signed_too(pair, tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"weights" * 1000)
    path = sign(tmp_path / "model.gguf", pair[0], tmp_path / "weights.sig")
    check_signature(tmp_path / "model.gguf", pair[1], path)
    (tmp_path / "model.gguf").write_bytes(b"weightz" * 1000)
    with pytest.raises(DifferenceError):
        check_signature(tmp_path / "model.gguf", pair[1], path)


def test_without_the_package_the_install_line_is_printed_and_verifying_without_a_key_works(signed, pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "model_signing", None)
    for call in (lambda: sign(signed, pair[0]), lambda: verify(signed, public_key=pair[1])):
        with pytest.raises(UnsupportedError) as caught:
            call()
        assert caught.value.do == "pip install 'greenlight-llm[sign]'"
    assert verify(signed).same


def test_verifying_without_a_key_does_not_load_the_package(signed):
    code = (
        "import sys; from pathlib import Path; from greenlight.release.verify import verify; "
        f"assert verify(Path({str(signed)!r})).same; "
        "assert not [name for name in sys.modules if name.split('.')[0] in ('model_signing', 'cryptography')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
