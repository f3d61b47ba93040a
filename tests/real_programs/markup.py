"""Programs of beautifulsoup4, lxml and jinja2."""

import bs4
import jinja2
import lxml.etree

PAGE = """<html><head><title>The Dormouse's story</title></head><body>
<p class="story">Once upon a time there were three little sisters; and their names were
<a href="http://example.com/elsie" class="sister" id="link1">Elsie</a>,
<a href="http://example.com/lacie" class="sister" id="link2">Lacie</a> and
<a href="http://example.com/tillie" class="sister" id="link3">Tillie</a>.</p></body></html>"""


def parse_tree():
    """A page parsed, searched and changed."""
    soup = bs4.BeautifulSoup(PAGE, "html.parser")
    for link in soup.find_all("a"):
        link["href"] = link["href"].upper()
    extracted = soup.p.extract()
    assert extracted.get_text(strip=True).startswith("Once upon")


def parse_tree_with_lxml():
    """The same page through lxml, with a target that keeps its parser."""
    soup = bs4.BeautifulSoup(PAGE, "lxml")
    assert soup.title.string

    class Target:
        def __init__(self):
            self.tags = []
            self.parser = lxml.etree.XMLParser(target=self)

        def start(self, tag, attributes):
            self.tags.append({"tag": tag, "attributes": attributes, "target": self})

        def end(self, tag):
            pass

        def close(self):
            return self.tags

    target = Target()
    assert len(lxml.etree.fromstring("<a><b c='1'/></a>", target.parser)) == 2


TEMPLATES = {
    "base": "{% block body %}{% endblock %}",
    "page": "{% extends 'base' %}{% macro row(item) %}<li>{{ item.name }}</li>{% endmacro %}"
    "{% block body %}{% for item in items recursive %}{{ row(item) }}{{ loop(item.children) }}"
    "{{ 1 / item.count }}{% endfor %}{% endblock %}",
}


def failing_template():
    """An environment per request, and a template that divides by zero."""
    environment = jinja2.Environment(loader=jinja2.DictLoader(TEMPLATES), autoescape=True)
    page = environment.get_template("page")
    leaf = {"name": "leaf", "children": [], "count": 0}
    try:
        page.render(items=[{"name": "root", "children": [leaf], "count": 1}])
    except ZeroDivisionError as error:
        failure = error
    assert failure.__traceback__.tb_next
