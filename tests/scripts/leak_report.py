"""Find and describe cycles, and use all that a report offers."""

from growth import print_growth

import memguard


class Node:
    pass


def ring(size):
    nodes = [Node() for _ in range(size)]
    for number, node in enumerate(nodes):
        node.next, node.held = nodes[(number + 1) % size], {"key": [number]}
    return nodes[0]


def generate(box):
    yield box


def planted():
    box = [ring(1), ring(2), ring(5)]
    generator = generate(box)
    next(generator)
    box += [generator, lambda default=box: (default, box), (box,), {"key": box}]
    return box


kept = planted()


def call():
    for options in ({}, {"explain": False}, {"types": [Node, "builtins.function"]}):
        report = memguard.scan("live", roots=[kept], **options)
        report.to_text()
        report.to_json()
        report.to_dot()
        report.to_html()
        report._repr_html_()
        report.diff(report)
        repr(report)
        for cycle in report.cycles:
            report.objects(cycle)
        assert report.where(lambda shape: shape.cycle_count > 0).shapes == report.shapes
        assert report.cycle_count > 0


print_growth(call, call_count=200)
