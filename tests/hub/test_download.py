import contextlib
import hashlib

import pytest

from greenlight.errors import HubError
from greenlight.hub.client import Patience
from greenlight.hub.download import download
from tests.hub.conftest import BODY
from tests.hub.servers import Behaviour, Quiet, file_server, serving

SHA256 = hashlib.sha256(BODY).hexdigest()


def fetch(url, target, **options):
    given = {name: options.pop(name) for name in ("retries", "timeout_s") if name in options}
    patience = Patience(**{"timeout_s": 5.0, "wait_s": 0.0, **given})
    return download(f"{url}/file", target, **{"sha256": SHA256, "patience": patience, **options})


def test_a_whole_file_arrives_with_progress(tmp_path):
    reports = []
    with file_server(Behaviour(BODY)) as url:
        found = fetch(url, tmp_path / "f", progress=lambda done, total: reports.append((done, total)))
    assert (tmp_path / "f").read_bytes() == BODY
    assert found == SHA256
    assert reports[-1] == (len(BODY), len(BODY))
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_cut_connection_is_resumed_where_it_stopped(tmp_path):
    behaviour = Behaviour(BODY, cut_after=[1000, 5000, 1])
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert behaviour.requests == [None, "bytes=1000-", "bytes=6000-", "bytes=6001-"]


def test_a_server_that_ignores_ranges_is_read_from_the_start_again(tmp_path):
    behaviour = Behaviour(BODY, cut_after=[1000], ignore_range=True)
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_what_an_earlier_call_left_is_continued(tmp_path):
    (tmp_path / "f.part").write_bytes(BODY[:7000])
    behaviour = Behaviour(BODY)
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert behaviour.requests == ["bytes=7000-"]


def test_what_an_earlier_call_left_of_another_version_is_dropped(tmp_path):
    (tmp_path / "f.part").write_bytes(b"x" * 7000)
    with file_server(Behaviour(BODY)) as url:
        fetch(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_part_that_is_longer_than_the_file_is_dropped(tmp_path):
    (tmp_path / "f.part").write_bytes(b"x" * (len(BODY) + 9))
    with file_server(Behaviour(BODY)) as url:
        fetch(url, tmp_path / "f", size_bytes=len(BODY))
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_part_that_is_whole_already_costs_no_request(tmp_path):
    (tmp_path / "f.part").write_bytes(BODY)
    behaviour = Behaviour(BODY)
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f", size_bytes=len(BODY))
    assert behaviour.requests == []


def test_wrong_bytes_are_removed_and_both_digests_named(tmp_path):
    with file_server(Behaviour(b"y" * len(BODY))) as url, pytest.raises(HubError) as caught:
        fetch(url, tmp_path / "f")
    assert SHA256 in (caught.value.found or "")
    assert hashlib.sha256(b"y" * len(BODY)).hexdigest() in (caught.value.found or "")
    assert list(tmp_path.iterdir()) == []


def test_another_size_than_expected_is_refused_before_the_body(tmp_path):
    with file_server(Behaviour(BODY)) as url, pytest.raises(HubError, match="another size"):
        fetch(url, tmp_path / "f", size_bytes=len(BODY) + 1)
    assert not (tmp_path / "f").exists()


def test_a_server_that_announces_too_much_is_asked_again_and_the_digest_settles_it(tmp_path):
    behaviour = Behaviour(BODY, announce=len(BODY) + 5)
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert behaviour.requests == [None, f"bytes={len(BODY)}-"]


def test_a_connection_that_always_breaks_ends_in_an_error_and_keeps_what_came(tmp_path):
    with file_server(Behaviour(BODY, cut_after=[10, 10, 10])) as url, pytest.raises(HubError, match="did not finish"):
        fetch(url, tmp_path / "f", retries=2)
    assert not (tmp_path / "f").exists()
    assert (tmp_path / "f.part").read_bytes() == BODY[:30]


def test_a_body_without_announced_length_is_checked_by_digest(tmp_path):
    with file_server(Behaviour(BODY, no_length=True)) as url:
        fetch(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_busy_server_is_asked_again(tmp_path):
    behaviour = Behaviour(BODY, status=[503, 429, 500])
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f")
    assert len(behaviour.requests) == 4


def test_a_missing_file_is_not_asked_for_twice(tmp_path):
    behaviour = Behaviour(BODY, status=[404])
    with file_server(behaviour) as url, pytest.raises(HubError, match="404"):
        fetch(url, tmp_path / "f")
    assert len(behaviour.requests) == 1


def test_a_silent_server_ends_in_an_error(tmp_path):
    with file_server(Behaviour(BODY, silence_s=0.5)) as url, pytest.raises(HubError, match="silent"):
        fetch(url, tmp_path / "f", timeout_s=0.1, retries=1)


def test_no_network_is_an_error_that_says_so(tmp_path):
    with file_server(Behaviour(BODY)) as url:
        pass
    with pytest.raises(HubError, match="did not finish"):
        fetch(url, tmp_path / "f", retries=1)


def test_only_web_addresses_are_fetched(tmp_path):
    with pytest.raises(HubError, match="only http"):
        download("file:///etc/hostname", tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changes_in_the_middle_is_fetched_from_the_start(tmp_path):
    behaviour = Behaviour(BODY, cut_after=[1000], etags=['"a"', '"b"', '"b"'])
    with file_server(behaviour) as url:
        fetch(url, tmp_path / "f", sha256=None)
    assert (tmp_path / "f").read_bytes() == BODY
    assert behaviour.requests == [None, "bytes=1000-", None]


def test_a_body_without_end_is_cut_at_the_size_it_must_have(tmp_path):
    class Endless(Quiet):
        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x" * 65536)

    with serving(Endless) as url, pytest.raises(HubError):
        fetch(url, tmp_path / "f", size_bytes=len(BODY), retries=1)
    assert not (tmp_path / "f").exists()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= len(BODY)


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http://[", "", "{here}/file"])
def test_redirects_to_nowhere_and_in_circles_are_refused(tmp_path, target):
    class Sending(Quiet):
        def do_GET(self):  # noqa: N802
            self.send_response(302)
            self.send_header("Location", target.format(here=f"http://{self.headers['Host']}"))
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Sending) as url, pytest.raises(HubError, match="refuses"):
        fetch(url, tmp_path / "f", retries=0)


def test_a_file_is_known_by_the_digest_that_git_gives_it(tmp_path):
    blob = hashlib.sha1(b"blob %d\0" % len(BODY) + BODY).hexdigest()
    with file_server(Behaviour(BODY)) as url:
        assert fetch(url, tmp_path / "f", sha256=None, blob_sha1=blob) == SHA256
        with pytest.raises(HubError, match="git sha1"):
            fetch(url, tmp_path / "g", sha256=None, blob_sha1="0" * 40)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", "Wed, 99 Foo 2020", "٣", "", "9" * 5000])
def test_a_pause_that_is_no_time_is_ours_or_too_long(tmp_path, value):
    behaviour = Behaviour(BODY, status=[503], headers={"Retry-After": value.encode().decode("latin-1")})
    with file_server(behaviour) as url:
        if value.startswith("99"):
            with pytest.raises(HubError, match="asks to wait"):
                fetch(url, tmp_path / "f")
        else:
            fetch(url, tmp_path / "f")
