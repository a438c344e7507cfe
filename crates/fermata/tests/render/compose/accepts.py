"""Reads compose files as compose_spec does, which knows every key of the specification and refuses all others.

    python3 accepts.py FILE...

References are filled in before, as docker compose does. Hooks (`post_start` and `pre_stop`, Compose 2.30) are newer than
compose_spec 0.2, and left out.
"""

import re
import sys

from compose_spec import PyCompose

HOOKS = ("post_start", "pre_stop")


def filled(text):
    """With each variable's default, or some value, the innermost first; what a path begins with is a folder."""
    text = re.sub(r"(?m)^(\s*- )\$\{\w+\}/", r"\1/value/", text)
    before = None
    while text != before:
        before = text
        text = re.sub(r"(?<!\$)\$\{\w+(?::-([^${}]*))?\}", lambda found: found[1] or "value", text)
    return text.replace("$$", "$")


def without_hooks(text):
    depth, kept = None, []
    for line in text.splitlines(keepends=True):
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent <= depth:
            depth = None
        if depth is None and line.strip() in (f"{hook}:" for hook in HOOKS):
            depth = indent
        if depth is None:
            kept.append(line)
    return "".join(kept)


for path in sys.argv[1:]:
    with open(path) as file:
        text = without_hooks(filled(file.read()))
    try:
        PyCompose.from_yaml(text).validate()
    except ValueError as error:
        sys.exit(f"{path}: {error}\n{text}")
