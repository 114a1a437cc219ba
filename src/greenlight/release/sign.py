"""Who vouches for a folder? An OpenSSF model signature with a key: made, and checked, by the package model-signing.

The signature covers every file of the folder, hidden ones too, and lies in it as model.sig; what the manifest covers
does not change by signing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from greenlight.errors import EvidenceError, UnsupportedError
from greenlight.evidence import SIGNATURE
from greenlight.release.difference import DifferenceError

_INSTALL = "pip install 'greenlight-llm[sign]'"


def sign(subject: Path, key: Path, signature: Path | None = None, *, git_files: bool = True) -> Path:
    """Sign a folder, or one file, with an elliptic-curve key in PEM form.

    Args:
        subject: what is signed.
        key: the private key.
        signature: where the signature goes; model.sig in the folder by default.
        git_files: whether files such as .gitattributes are signed, too. In evidence they are files like any other; in a
            model's folder they are not, and the package's own command leaves them out unless told otherwise.

    Returns:
        The signature's path.

    Raises:
        UnsupportedError: the package is not installed.
        EvidenceError: the key cannot be used, or a file cannot be read or written.
    """
    package = _package()
    path = (signature or subject / SIGNATURE).resolve()
    try:
        signer = package.signing.Config().use_elliptic_key_signer(private_key=key)
        signer.set_hashing_config(_hashing(package, path, git_files)).sign(subject.resolve(), path)
    except (ValueError, TypeError, OSError) as error:
        raise EvidenceError(
            "the folder cannot be signed",
            where=f"{subject}, key {key}",
            found=_short(error),
            do="give an unencrypted elliptic-curve private key in PEM form, as `openssl ecparam -genkey` writes it",
        ) from error
    return path


def check_signature(subject: Path, public_key: Path, signature: Path | None = None, *, git_files: bool = True) -> None:
    """Check that a signature was made with this key's private half over exactly these files.

    Raises:
        UnsupportedError: the package is not installed.
        DifferenceError: there is no signature, another key made it, or a file is not what was signed.
    """
    path = (signature or subject / SIGNATURE).resolve()
    if not path.is_file():
        raise DifferenceError(f"{path.name}: there is no signature")
    if not public_key.is_file():
        raise EvidenceError("there is no such key", where=str(public_key), do="name a public key in PEM form")
    package = _package()
    try:
        verifier = package.verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        verifier.set_hashing_config(_hashing(package, path, git_files)).verify(subject.resolve(), path)
    except Exception as error:
        raise DifferenceError(f"{path.name}: {_short(error)}") from error


def _hashing(package: Any, signature: Path, git_files: bool) -> Any:
    return package.hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=not git_files)


def _package() -> Any:
    try:
        import model_signing
    except ImportError as error:
        raise UnsupportedError("signatures need the package model-signing", found=str(error), do=_INSTALL) from error
    return model_signing


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
