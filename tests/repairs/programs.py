"""Programs of more libraries, as their documentation uses them.

Each imports its library when it runs, so that one of them needs no other.
"""

import io


def tree_of_nodes():
    """A tree of nodes, rendered."""
    import anytree

    root = anytree.Node("root")
    for name in "abc":
        anytree.Node(name, parent=root)
    assert anytree.RenderTree(root).by_attr().startswith("root")


def syntax_tree():
    """A text parsed into a tree and rendered."""
    import markdown_it
    import markdown_it.tree

    parser = markdown_it.MarkdownIt()
    tree = markdown_it.tree.SyntaxTreeNode(parser.parse("# Title\n\n*text*"))
    assert tree.children[0].type == "heading"
    assert parser.render("*text*")


def page_as_document():
    """A page parsed into a minidom document."""
    import html5lib

    document = html5lib.parse("<p>one<b>two</b></p>", treebuilder="dom")
    assert document.getElementsByTagName("b")


def written_and_read():
    """A document with a page written and read back."""
    import pypdf

    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    stream = io.BytesIO()
    writer.write(stream)
    stream.seek(0)
    assert pypdf.PdfReader(stream).pages[0].mediabox.width == 100


def refused_connection():
    """A request to a port where nobody listens."""
    import requests

    with requests.Session() as session:
        try:
            session.get("http://127.0.0.1:9/")
        except requests.ConnectionError as error:
            failure = error
        assert "9" in str(failure)


def state_machine():
    """A machine with two states, of its own model."""
    import transitions

    machine = transitions.Machine(states=["solid", "liquid"], initial="solid")
    machine.add_transition("melt", "solid", "liquid")
    machine.melt()
    assert machine.state == "liquid"


def converted_page():
    """A page converted to HTML, with HTML in it."""
    import markdown

    assert "<b>" in markdown.markdown("# Title\n\n<b>text</b>\n\n<div>more</div>")


def options_file():
    """A file of options read."""
    import configparser

    parser = configparser.ConfigParser()
    parser.read_string("[server]\nport = 80")
    assert parser["server"].getint("port") == 80


def property_list():
    """A property list written and read."""
    import plistlib

    assert plistlib.loads(plistlib.dumps({"key": [1]})) == {"key": [1]}


def request_opener():
    """An opener of requests with the usual handlers."""
    import urllib.request

    assert urllib.request.build_opener().handlers


def parser_of_options():
    """A command line with one option, its help written."""
    import argparse

    parser = argparse.ArgumentParser(prog="tool")
    parser.add_argument("--verbose", action="store_true")
    assert "--verbose" in parser.format_help()
