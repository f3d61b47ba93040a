"""The cheapest references to cut so that no cycle is left.

Covers: a minimum feedback edge set over references that stand or fall
together, exact for the few dozen kinds of reference that a cycle has, and
bounded: beyond the bounds the answer still leaves no cycle, but may not be the
cheapest.
Does not cover: which references there are and what each costs (``ties``).

Source: E. Moreno-Centeno, R. M. Karp, "The implicit hitting set approach to
solve combinatorial optimization problems", 2013: cut the cheapest set that
breaks every loop seen so far; if a loop is left, it is one more to break.
"""

from collections.abc import Collection, Sequence

FIXED = -1
"""The group of a reference that nobody can cut."""

_MOST_ROUNDS = 50
_MOST_BRANCHES = 2_000

Edge = tuple[int, int, int]
"""Source, target and the group of references that are cut together."""

Cut = frozenset[int]


def is_acyclic(size: int, edges: Sequence[Edge], cut: Collection[int] = ()) -> bool:
    """Tell whether no cycle is left without the references of some groups.

    Takes away what nothing refers to until nothing is left, or a cycle is.
    """
    children: list[list[int]] = [[] for _ in range(size)]
    holders = [0] * size
    for source, target, group in edges:
        if group not in cut:
            children[source].append(target)
            holders[target] += 1
    waiting = [node for node in range(size) if holders[node] == 0]
    taken = 0
    while waiting:
        taken += 1
        for child in children[waiting.pop()]:
            holders[child] -= 1
            if holders[child] == 0:
                waiting.append(child)
    return taken == size


def cheapest_cut(size: int, edges: Sequence[Edge], costs: Sequence[int]) -> Cut | None:
    """Find groups of references without which no cycle is left.

    Args:
        size: Members [count].
        edges: References among them.
        costs: What cutting each group costs, all above 0.

    Returns:
        The groups, cheapest together; None where a loop has none to cut.
    """
    loops: list[Cut] = []
    for _ in range(_MOST_ROUNDS):
        cut = _cheapest_hitting(loops, costs)
        found = _loops_left(size, edges, cut)
        if not found:
            return cut
        if not all(found):
            return None
        loops += found
    return _any_cut(size, edges, costs)


def _loops_left(size: int, edges: Sequence[Edge], cut: Cut) -> list[Cut]:
    """Find loops that share no group, each as the groups that it uses."""
    found = []
    gone = set(cut)
    while (loop := _loop(size, edges, gone)) is not None:
        found.append(loop)
        if not loop:
            break
        gone |= loop
    return found


def _loop(size: int, edges: Sequence[Edge], gone: Collection[int]) -> Cut | None:
    """Follow references until one leads back, and give the groups on that loop."""
    children: list[list[tuple[int, int]]] = [[] for _ in range(size)]
    for source, target, group in edges:
        if group not in gone:
            children[source].append((target, group))
    unseen, on_path, done = 0, 1, 2
    state = [unseen] * size
    for start in range(size):
        if state[start] != unseen:
            continue
        state[start] = on_path
        path = [(start, FIXED, iter(children[start]))]
        while path:
            node, _, following = path[-1]
            for child, group in following:
                if state[child] == on_path:
                    first = next(at for at, step in enumerate(path) if step[0] == child)
                    groups = [step[1] for step in path[first + 1 :]]
                    return frozenset([*groups, group]) - {FIXED}
                if state[child] == unseen:
                    state[child] = on_path
                    path.append((child, group, iter(children[child])))
                    break
            else:
                state[node] = done
                path.pop()
    return None


def _cheapest_hitting(loops: Sequence[Cut], costs: Sequence[int]) -> Cut:
    """Choose groups of which every loop has one, cheapest together, by branch and bound."""
    best = _greedy_hitting(loops, costs)
    best_cost = sum(costs[group] for group in best)
    waiting: list[tuple[int, Cut]] = [(0, frozenset())]
    branches = 0
    while waiting and branches < _MOST_BRANCHES:
        branches += 1
        cost, chosen = waiting.pop()
        left = [loop for loop in loops if chosen.isdisjoint(loop)]
        if not left:
            if (cost, sorted(chosen)) < (best_cost, sorted(best)):
                best, best_cost = chosen, cost
            continue
        shortest = min(left, key=lambda loop: len(loop))
        waiting.extend(
            (cost + costs[group], chosen | {group})
            for group in sorted(shortest, key=lambda group: (-costs[group], -group))
            if cost + costs[group] <= best_cost
        )
    return best


def _greedy_hitting(loops: Sequence[Cut], costs: Sequence[int]) -> Cut:
    """Choose again and again what breaks most loops for its cost."""
    chosen: set[int] = set()
    left = list(loops)
    while left:
        counts: dict[int, int] = {}
        for loop in left:
            for group in loop:
                counts[group] = counts.get(group, 0) + 1
        pick = min(counts, key=lambda group: (costs[group] / counts[group], group))
        chosen.add(pick)
        left = [loop for loop in left if pick not in loop]
    return frozenset(chosen)


def _any_cut(size: int, edges: Sequence[Edge], costs: Sequence[int]) -> Cut | None:
    """Break loop after loop at its cheapest, then put back what was not needed."""
    chosen: set[int] = set()
    while (loop := _loop(size, edges, chosen)) is not None:
        if not loop:
            return None
        chosen.add(min(loop, key=lambda group: (costs[group], group)))
    for group in sorted(chosen, key=lambda group: (-costs[group], group)):
        if is_acyclic(size, edges, chosen - {group}):
            chosen.discard(group)
    return frozenset(chosen)
