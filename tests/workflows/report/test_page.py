"""The page stands alone, is well formed, speaks to every reader, escapes what a protocol says, and repeats itself."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from twinarm.workflows.report.build import page_of, render, write_page

VOID = {"meta", "br", "hr", "img", "input", "link", "path", "rect", "use"}


class Reader(HTMLParser):
    """Collects elements and complains of tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.faults: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.fixture(scope="module", params=["t1d", "docetaxel", "failed", "table"])
def html(request) -> str:
    return render(page_of(request.getfixturevalue(request.param)))


def test_tags_close_in_order(html):
    reader = read(html)
    assert reader.faults == []
    assert reader.open == []


def test_nothing_outside_the_file_is_referred_to(html):
    for tag, attrs, _ in read(html).elements:
        assert tag not in {"script", "link", "iframe", "img", "object", "embed", "base", "image"}
        for name in ("src", "srcset", "action", "data", "poster"):
            assert name not in attrs
        for name in ("href", "xlink:href"):
            assert attrs.get(name, "#").startswith("#"), attrs
    assert "http" not in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)
    assert not re.findall(r"@import|url\((?!#)", html)


def test_ids_are_unique_and_every_reference_has_its_target(html):
    elements = read(html).elements
    ids = [attrs["id"] for _, attrs, _ in elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"][1:] for _, attrs, _ in elements if attrs.get("href")}
    wanted |= {name for _, attrs, _ in elements for name in (attrs.get("aria-labelledby") or "").split()}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert wanted <= set(ids)


def test_every_figure_has_a_name_a_description_and_its_numbers(html):
    figures = re.findall(r"<figure.*?</figure>", html, flags=re.DOTALL)
    assert figures
    for figure in figures:
        assert re.search(r'<svg viewBox="[^"]+" role="img" aria-labelledby="\S+-title \S+-desc"', figure)
        title, description = re.search(r"<title[^>]*>(.*?)</title><desc[^>]*>(.*?)</desc>", figure, re.DOTALL).groups()
        assert len(title) > 5
        assert len(description) > 20
        assert "nan" not in description.split()
        details = re.search(r"<details>.*?<table>(.*?)</table>", figure, flags=re.DOTALL)
        assert details is not None
        assert details.group(1).count("<tr") > 1


def test_headings_descend_by_one_level_and_there_is_one_h1(html):
    levels = [int(tag[1]) for tag, _, _ in read(html).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_page_can_be_used_without_a_mouse_and_says_its_language(html):
    elements = read(html).elements
    assert next(attrs for tag, attrs, _ in elements if tag == "html")["lang"] == "en-GB"
    assert '<a class="skip" href="#main">' in html
    for _tag, attrs, _ in elements:
        if attrs.get("class") == "scroll":
            assert attrs["tabindex"] == "0"
            assert attrs["aria-label"]
    assert all("scope" in attrs for tag, attrs, _ in elements if tag == "th")


def test_tables_have_as_many_cells_as_columns(html):
    for table in re.findall(r"<table>.*?</table>", html, flags=re.DOTALL):
        columns = len(re.findall(r"<th scope=\"col\"", table))
        body = table.split("<tbody>")[1]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.DOTALL):
            assert len(re.findall(r"<t[hd][ >]", row)) == columns


def test_file_stays_small(html):
    assert len(html.encode()) < 5_000_000


def test_same_contents_give_the_same_bytes(t1d, tmp_path):
    first = write_page(t1d, tmp_path / "a.html").read_bytes()
    assert write_page(t1d, tmp_path / "b.html").read_bytes() == first


def test_order_of_stored_variables_does_not_matter(t1d):
    turned = {name: getattr(t1d, name) for name in ("cohort", "outcomes", "subjects")}
    turned = {name: data[sorted(map(str, data.data_vars), reverse=True)] for name, data in turned.items()}
    assert render(page_of(replace(t1d, **turned))) == render(page_of(t1d))


def test_words_of_a_protocol_are_escaped(t1d):
    hostile = '<script>alert("1")</script><img src=x onerror=1>&amp;'
    arms = tuple(arm.model_copy(update={"label": f"{hostile} {arm.name}"}) for arm in t1d.protocol.arms)
    endpoints = tuple(e.model_copy(update={"label": hostile + e.name}) for e in t1d.protocol.endpoints)
    events = tuple(e.model_copy(update={"label": hostile}) for e in t1d.protocol.intercurrent_events)
    groups = tuple(g.model_copy(update={"label": hostile}) for g in t1d.protocol.subgroups)
    published = tuple(p.model_copy(update={"citation": hostile}) for p in t1d.protocol.published)
    update = {"title": hostile, "question": hostile, "arms": arms, "endpoints": endpoints, "subgroups": groups}
    update |= {"intercurrent_events": events, "published": published}
    protocol = t1d.protocol.model_copy(update=update)
    html = render(page_of(replace(t1d, protocol=protocol, protocol_text=hostile, command=hostile, notes=(hostile,))))
    reader = read(html)
    assert reader.faults == []
    assert not {"script", "img"} & {tag for tag, _, _ in reader.elements}
    assert not [attrs for _, attrs, _ in reader.elements if any(name.startswith("on") for name in attrs)]
    assert hostile in "".join(reader.text)
