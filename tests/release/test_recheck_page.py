"""Does the page say what the decision says?"""

import pytest

from greenlight.evidence import write_manifest
from greenlight.release.verify import verify
from tests.release.test_verify import difference


def test_a_page_that_says_something_else_is_found(bundle):
    page = (bundle / "report.html").read_bytes()
    for old, new, named in (
        (b"<span>NO-GO</span>", b"<span>GO</span>", "report.html: line"),
        (b'"verdict":"no_go"', b'"verdict":"go"', "the decision inside it is not decision.json"),
        (b"</main>", b"</main><script>1</script>", "report.html: line"),
        (b'<meta name="generator"', b'<meta name="maker"', "which edition"),
        (b"</html>", b"</html>\n\n", "report.html"),
    ):
        assert old in page
        (bundle / "report.html").write_bytes(page.replace(old, new))
        write_manifest(bundle)
        assert named in difference(bundle)


@pytest.mark.slow
def test_pages_of_another_edition_or_drawing_library_are_compared_as_far_as_they_go(bundle):
    page = (bundle / "report.html").read_text()
    head, _, tail = page.partition("greenlight page ")
    edition, _, rest = tail.partition(", matplotlib ")
    version, _, body = rest.partition('"')

    def noted(text: str) -> str:
        (bundle / "report.html").write_text(text)
        write_manifest(bundle)
        found = verify(bundle)
        assert found.same, found.difference
        return "\n".join(found.notes)

    def refused(text: str) -> str:
        (bundle / "report.html").write_text(text)
        write_manifest(bundle)
        return difference(bundle)

    later = f'{head}greenlight page {int(edition) + 1}, matplotlib {version}"{body.replace("NO-GO", "no go")}'
    assert "is of a later version" in refused(later)
    other = f'{head}greenlight page {edition}, matplotlib 0.1"{body}'
    assert "drawn by matplotlib 0.1" in noted(other.replace('d="M 14', 'd="M 15'))
    assert "report.html: line" in refused(other.replace("NO-GO", "GO"))
    end = other.index("</svg>", other.index('<svg class="figure"'))
    for strange in (
        "<foreignObject><h1>GO</h1></foreignObject>",
        "<script>1</script>",
        '<path onload="1"/>',
        '<path style="fill:url(https://example.org/)"/>',
        '<text style="display:none"/>',
        "<!-- -->",
    ):
        assert "report.html: a drawing holds" in refused(other[:end] + strange + other[end:])
    assert "report.html: line" in refused(f"{other[:end]}<text>GO</text>{other[end:]}")
