"""How a magic gets the values that its line names: expressions of the notebook in, their values out."""

from __future__ import annotations

from typing import Any

from mlmagic.errors import MisuseError, UnknownNameError


def plain(text: str) -> str:
    """An expression without the quotes that keep its spaces together."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text


def value_of(shell: Any, text: str) -> Any:
    """The value of an expression in the notebook.

    Raises
    ------
    UnknownNameError
        A name in it is not there.
    MisuseError
        It is no expression, or raises.
    """
    code = plain(text)
    try:
        return eval(compile(code, "<magic>", "eval"), shell.user_ns)
    except NameError as error:
        names = [name for name in shell.user_ns if not name.startswith("_") and name not in shell.user_ns_hidden]
        raise UnknownNameError.among("variable", str(error.name or code), names) from None
    except SyntaxError:
        raise MisuseError(f"{code!r} is no expression of the notebook; put quotes around one with spaces") from None
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise MisuseError(f"{code}: {type(error).__name__}: {first}"[:200]) from None
