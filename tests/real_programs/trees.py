"""Programs of the standard library that build trees and rings.

Covers: parents that list their children, and C types that hold Python objects.
"""

import ctypes
import email
import email.policy
import sqlite3
import xml.dom.minidom
from html.parser import HTMLParser

SLIDESHOW = """<slideshow>
<title>Demo slideshow</title>
<slide><title>Slide title</title>
<point>This is a demo</point>
<point>Of a program for processing slides</point>
</slide>
<slide><title>Another demo slide</title>
<point>It is important</point>
</slide>
</slideshow>"""


def minidom():
    """A document parsed and never unlinked."""
    with xml.dom.minidom.parseString(SLIDESHOW) as unlinked:
        unlinked.documentElement.normalize()
    document = xml.dom.minidom.parseString(SLIDESHOW)
    for point in document.getElementsByTagName("point"):
        point.setAttribute("length", str(len(point.firstChild.data)))
    document.toxml()


class Links(HTMLParser):
    """A tree of tags, each with its parent."""

    def __init__(self):
        super().__init__()
        self.tags = [{"tag": "document", "children": []}]

    def handle_starttag(self, tag, attrs):
        node = {"tag": tag, "attrs": dict(attrs), "children": [], "parent": self.tags[-1]}
        self.tags[-1]["children"].append(node)
        self.tags.append(node)

    def handle_endtag(self, tag):
        self.tags.pop()


def page_and_message():
    """A page as a tree with parents, and a message with an attachment."""
    parser = Links()
    parser.feed("<ul class=menu><li><a href='#a'>a</a></li><li><b>b</b></li></ul>")
    message = email.message_from_string("Subject: hello\n\nbody", policy=email.policy.default)
    message.add_attachment(parser.tags[0]["children"][0]["tag"], filename="tag.txt")
    message.as_string()


def callbacks_from_c():
    """Structures in a ring, with a callback."""

    class Node(ctypes.Structure):
        pass

    pointer = ctypes.POINTER(Node)
    visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    Node._fields_ = [("value", ctypes.c_int), ("next", pointer), ("visit", visit)]
    first, second = Node(1), Node(2)
    first.next, second.next = ctypes.pointer(second), ctypes.pointer(first)
    first.visit = visit(lambda value: value + second.value)
    assert first.visit(40) == 42


def database():
    """A connection whose functions and rows refer to its owner."""

    class Store:
        def __init__(self):
            self.connection = sqlite3.connect(":memory:")
            self.connection.row_factory = self.make_row
            self.connection.create_function("twice", 1, lambda value: self.double(value))
            self.cursor = self.connection.execute("SELECT twice(21) AS answer")

        def make_row(self, cursor, values):
            return {"store": self, "cursor": cursor, "values": values}

        def double(self, value):
            return 2 * value

    store = Store()
    store.row = store.cursor.fetchone()
    assert store.row["values"] == (42,)
    store.connection.close()
