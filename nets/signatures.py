"""Signatures of public functions, which `help` prints as the source has them.

Python prints an annotation as the object that it names: `Params` as `typing.Any`,
`Cell | RecurrentLayer` as four classes, the default `orthogonal` with its address.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

WIDTH = 80  # characters; a longer signature has one parameter per line


class _Text:
    """Source text, printed without quotes."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


class SourceSignature(inspect.Signature):
    """The signature of a function, whose text is that of its source.

    Parameters, annotations and defaults are the objects, as in any signature.

    Attributes:
        function: The function, without its decorators.
    """

    function: Callable[..., Any]

    def written(self) -> inspect.Signature:
        """The signature with annotations and defaults as source text."""
        source = textwrap.dedent(inspect.getsource(self.function))
        node = ast.parse(source).body[0]
        assert isinstance(node, ast.FunctionDef)
        given = node.args
        before = [*given.posonlyargs, *given.args]
        arguments = [*before, *given.kwonlyargs, given.vararg, given.kwarg]
        annotations = {a.arg: _text(a.annotation) for a in arguments if a}
        with_default = before[len(before) - len(given.defaults) :]
        defaults = {
            argument.arg: _text(default)
            for argument, default in (
                *zip(with_default, given.defaults, strict=True),
                *zip(given.kwonlyargs, given.kw_defaults, strict=True),
            )
        }
        return inspect.Signature(
            [
                parameter.replace(
                    annotation=annotations[name],
                    default=defaults.get(name, parameter.empty),
                )
                for name, parameter in self.parameters.items()
            ],
            return_annotation=_text(node.returns),
        )

    def replace(self, **changes: Any) -> "SourceSignature":
        """A copy with other parameters or another return annotation."""
        changed = super().replace(**changes)
        changed.function = self.function
        return changed

    def __str__(self) -> str:
        try:
            signature = self.written()
        except (OSError, SyntaxError, KeyError):  # no source, or another function's
            return inspect.Signature.__str__(
                inspect.Signature(
                    list(self.parameters.values()),
                    return_annotation=self.return_annotation,
                )
            )
        text = str(signature)
        if len(text) <= WIDTH:
            return text
        lines, has_star = [], False
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
                lines.append("*")
                has_star = True
            lines.append(str(parameter))
        inside = "".join(f"    {line},\n" for line in lines)
        return f"(\n{inside}) -> {signature.return_annotation}"


def _text(node: ast.AST | None) -> Any:
    """The source of an expression; `empty` if there is none."""
    return inspect.Signature.empty if node is None else _Text(ast.unparse(node))


def as_written(public: Mapping[str, Any]) -> None:
    """Give the public functions of a module signatures that print as written.

    Args:
        public: The module's names and their values, `vars(module)`; those in `__all__`
            are public.

    Example:
        >>> import inspect, nets
        >>> print(inspect.signature(nets.gru))
        (
            reset_after: bool = True,
            init: initializers.Initializer = initializers.orthogonal,
        ) -> Cell
    """
    for name in public["__all__"]:
        function = public[name]
        if isinstance(function, FunctionType) and "__signature__" not in vars(function):
            signature = SourceSignature.from_callable(function)
            signature.function = inspect.unwrap(function)
            function.__signature__ = signature  # type: ignore[attr-defined]
