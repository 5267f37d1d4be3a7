"""THREAD (RFC 5256): by subject and day, and by References."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mailboxes.imap.facts import Facts


@dataclass(frozen=True, slots=True)
class Post:
    """A message to be threaded."""

    number: int  # of the message, or its UID
    sent: float
    facts: Facts


@dataclass(eq=False, slots=True)
class Node:
    """A message, or the place of one that is not here."""

    post: Post | None = None
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def holds(self, other: Node) -> bool:
        """Whether the other is this one or below it."""
        node: Node | None = other
        while node is not None:
            if node is self:
                return True
            node = node.parent
        return False

    def adopt(self, child: Node) -> None:
        """Make it a child of this one."""
        if child.parent is not None:
            child.parent.children.remove(child)
        child.parent = self
        self.children.append(child)

    @property
    def order(self) -> tuple[float, int]:
        """Sent date, then number; of the first child for an empty place."""
        node = self
        while node.post is None:
            node = node.children[0]
        return node.post.sent, node.post.number


def by_subject(posts: Sequence[Post]) -> bytes:
    """ORDEREDSUBJECT: the first message of a subject, the others side by side below it."""
    threads: dict[str, list[Post]] = {}
    for post in sorted(posts, key=lambda one: (one.sent, one.number)):
        threads.setdefault(post.facts.subject, []).append(post)
    ordered = sorted(threads.values(), key=lambda one: (one[0].sent, one[0].number))
    said = []
    for first, *others in ordered:
        rest = b"".join(b"(%d)" % one.number for one in others)
        if len(others) == 1:
            rest = b"%d" % others[0].number
        said.append(b"(%d%s)" % (first.number, b" " + rest if rest else b""))
    return b"".join(said)


def by_references(posts: Sequence[Post]) -> bytes:
    """REFERENCES: who answers whom."""
    root = Node()
    for node in _linked(posts):
        if node.parent is None:
            root.adopt(node)
    _prune(root)
    _sort(root)
    _gather(root)
    _sort(root)
    return b"".join(b"(%s)" % _written(node) for node in root.children)


def _linked(posts: Sequence[Post]) -> list[Node]:
    """Step 1: a node for each message, and for each that is only referred to."""
    nodes: dict[str, Node] = {}
    every: list[Node] = []

    def named(message_id: str) -> Node:
        node = nodes.get(message_id)
        if node is None:
            node = nodes[message_id] = Node()
            every.append(node)
        return node

    for post in posts:
        own = post.facts.message_id
        if own and (own not in nodes or nodes[own].post is None):
            node = named(own)
        else:  # without an id, or with that of another
            node = Node()
            every.append(node)
        node.post = post
        before: Node | None = None
        for reference in post.facts.references:
            place = named(reference)
            if before is not None and place.parent is None and not place.holds(before):
                before.adopt(place)
            before = place
        if node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
        if before is not None and not node.holds(before):
            before.adopt(node)
    return every


def _prune(root: Node) -> None:
    """Step 3: places without a message go, and their children take them."""
    stack = [root]
    order: list[Node] = []
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(node.children)
    for node in reversed(order):
        if node is root or node.post is not None:
            continue
        parent = node.parent
        if parent is None:
            continue
        if not node.children:
            parent.children.remove(node)
        elif parent is not root or len(node.children) == 1:
            place = parent.children.index(node)
            for child in node.children:
                child.parent = parent
            parent.children[place : place + 1] = node.children
            node.children = []


def _sort(root: Node) -> None:
    stack, order = [root], []
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(node.children)
    for node in reversed(order):  # an empty place is ordered by its first child
        node.children.sort(key=lambda one: one.order)


def _gather(root: Node) -> None:
    """Step 5: threads of one subject become one."""
    subjects: dict[str, Node] = {}
    for node in root.children:
        subject = _subject(node)
        if not subject:
            continue
        known = subjects.get(subject)
        if (
            known is None
            or (known.post is not None and node.post is None)
            or (_replies(known) and node.post is not None and not _replies(node))
        ):
            subjects[subject] = node
    for node in list(root.children):
        subject = _subject(node)
        first = subjects.get(subject) if subject else None
        if first is None or first is node:
            continue
        if first.post is None and node.post is None:
            for child in list(node.children):
                first.adopt(child)
            root.children.remove(node)
        elif first.post is None or (_replies(node) and not _replies(first)):
            first.adopt(node)
        else:  # side by side, below an empty place
            place = Node(parent=root)
            root.children[root.children.index(first)] = place
            first.parent = place
            place.children.append(first)
            place.adopt(node)
            subjects[subject] = place


def _subject(node: Node) -> str:
    first = node if node.post is not None else node.children[0]
    return first.post.facts.subject if first.post is not None else ""


def _replies(node: Node) -> bool:
    return node.post is not None and node.post.facts.is_reply


def _written(node: Node) -> bytes:
    """One thread, without its outer parentheses; deep ones need no deep stack."""
    out: list[bytes] = []
    stack: list[Iterator[Node] | bytes] = [iter((node,))]
    while stack:
        top = stack.pop()
        if isinstance(top, bytes):
            out.append(top)
            continue
        one = next(top, None)
        if one is None:
            continue
        stack.append(top)
        while True:
            if one.post is not None:
                out.append(b"%d" % one.post.number)
            if len(one.children) != 1:
                break
            if one.post is not None:
                out.append(b" ")
            one = one.children[0]
        if one.children:
            if one.post is not None:
                out.append(b" ")
            for child in reversed(one.children):
                stack += [b")", iter((child,)), b"("]
    return b"".join(out)
