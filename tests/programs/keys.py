"""Print key and path of many cycles as JSON, made in an order and in sizes that vary by a seed."""

import gc
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import memguard
from edge_names.kinds import KINDS
from edge_names.look import Owner

chance = random.Random(int(sys.argv[1]))


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        self.tags = set()
        if parent is not None:
            parent.children.append(self)


class Link:
    def __init__(self, before=None):
        self.before = before
        self.after = None
        if before is not None:
            before.after = self


class Context:
    pass


class Agent:
    pass


def tree():
    nodes = [Node()]
    for _ in range(chance.randrange(1, 60)):
        nodes.append(Node(chance.choice(nodes)))
    return nodes[0]


def ring():
    first = last = Link()
    for _ in range(chance.randrange(3, 40)):
        last = Link(last)
    last.after = first
    last.before = first
    return first


def two_way_chain():
    first = last = Link()
    for _ in range(chance.randrange(1, 40)):
        last = Link(last)
    return first


def mesh():
    contexts = [Context() for _ in range(chance.randrange(2, 9))]
    agents = [Agent() for _ in range(chance.randrange(2, 9))]
    for agent in agents:
        agent.contexts = set(contexts)
    for context in contexts:
        context.agents = {str(number): agent for number, agent in enumerate(agents)}
        context.callbacks = [agent.__repr__ for agent in agents]
    return contexts[0]


def used_dict():
    context, agent = Context(), Agent()
    context.agent, agent.context = agent, context
    for thing in (context, agent):
        if chance.random() < 0.5:
            vars(thing)
    return context


def of_kind(kind):
    owner = Owner()
    owner.held = kind.make(owner)
    return owner


MAKERS = {kind.title: lambda kind=kind: of_kind(kind) for kind in KINDS}
MAKERS |= {maker.__name__: maker for maker in (tree, ring, two_way_chain, mesh, used_dict)}

gc.disable()
titles = list(MAKERS)
chance.shuffle(titles)
found = {}
clutter = []
for title in titles:
    # What lies where, and which addresses are near, differs from run to run.
    clutter.append([[object()] for _ in range(chance.randrange(200))])
    # What is left of the last one goes; the next collection looks at what is new alone.
    gc.collect()
    gc.freeze()
    made = MAKERS[title]()
    del made
    with memguard.scan() as report:
        shapes = report.where(lambda shape: not shape.is_library_only).shapes
        found[title] = sorted({(shape.key, shape.path) for shape in shapes})
print(json.dumps(found, sort_keys=True, indent=0))
