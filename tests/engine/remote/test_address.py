"""Addresses hold no secret, and keys come from the environment, the host's own first."""

import pytest

from greenlight.engine.remote import Address
from greenlight.errors import UsageError


def test_an_address_keeps_scheme_host_port_and_path():
    assert Address.parse("https://Api.Example.com/v1/").url == "https://api.example.com/v1"
    assert Address.parse("http://[::1]:8080/v1").url == "http://[::1]:8080/v1"
    assert Address.parse("http://[::1]:8080/v1").is_loopback
    assert Address.parse("http://localhost:1/v1").is_loopback
    assert not Address.parse("http://10.0.0.1/v1").is_loopback


@pytest.mark.parametrize(
    "text", ["http://user:hush@h/v1", "http://hush@h/v1", "https://h/v1?key=hush", "http://:hush@h/v1"]
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(text):
    with pytest.raises(UsageError) as error:
        Address.parse(text)
    assert "hush" not in str(error.value)
    assert "GREENLIGHT_API_KEY" in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "h/v1", "ftp://h/v1", "http://", "http://h:99999/v1", "http://h /v1", "http://[::1/v1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError):
        Address.parse(text)


def test_the_key_of_the_host_comes_before_the_one_for_all(monkeypatch):
    address = Address.parse("https://api.example.com/v1")
    monkeypatch.delenv("GREENLIGHT_API_KEY", raising=False)
    assert address.key() is None
    monkeypatch.setenv("GREENLIGHT_API_KEY", "for-all")
    assert address.key() == "for-all"
    monkeypatch.setenv("GREENLIGHT_API_KEY_API_EXAMPLE_COM", "its own")
    with pytest.raises(UsageError) as error:
        address.key()
    assert "its own" not in str(error.value)
    monkeypatch.setenv("GREENLIGHT_API_KEY_API_EXAMPLE_COM", "its-own\n")
    assert address.key() == "its-own"
