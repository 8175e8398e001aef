"""``$(NAME)`` in commands and environment values, as Kubernetes does it. Pure.

Source: https://pkg.go.dev/k8s.io/kubernetes/third_party/forked/golang/expansion
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``$(NAME)`` becomes the variable's value, ``$$`` becomes ``$``; an unknown name stays as written."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(replace, text)


def references(words: Iterable[str]) -> set[str]:
    """The names that ``words`` refer to."""
    return {match[1] for word in words for match in _REFERENCE.finditer(word) if match[1] is not None}


def expand_in_order(declared: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """The declared variables with their references resolved: to ``known`` ones and to those declared before."""
    variables = dict(known)
    for name, value in declared.items():
        variables[name] = expand(value, variables)
    return {name: variables[name] for name in declared}
