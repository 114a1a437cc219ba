"""What may a chat template do? Everything that templates of real models do, within bounds; nothing else.

A template is a program from a stranger. Jinja's immutable sandbox keeps it from Python's internals; this environment
also pays for each loop turn, call, filter, operator and comparison from a budget, checks the size of what would be made
before it is made, and offers only the filters and methods whose cost is known.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import loopcontrols
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from greenlight.text.budget import MAX_TEXT, Budget
from greenlight.text.metering import METERED, Generation, Metering

_MAX_WIDTH = 1000


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_STR_METHODS = _names(
    "capitalize casefold center count endswith expandtabs find format index isalnum isalpha isascii "
    "isdecimal isdigit islower isnumeric isspace istitle isupper join ljust lower lstrip partition "
    "removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines "
    "startswith strip swapcase title upper zfill"
)
_METHODS: tuple[tuple[type, frozenset[str]], ...] = (
    (str, _STR_METHODS),
    (dict, frozenset({"get", "items", "keys", "values", "copy"})),
    (list, frozenset({"index", "count", "copy"})),
    (tuple, frozenset({"index", "count"})),
    (LoopContext, frozenset({"cycle", "changed"})),
)
_FREE_FILTERS = _names("attr count d default first items last length")
_SHALLOW_FILTERS = _names("batch list map reject rejectattr reverse select selectattr slice")
_DEEP_FILTERS = _names(
    "abs capitalize center dictsort e escape float forceescape groupby indent int join lower max min "
    "replace round safe sort string sum title tojson trim truncate unique upper urlencode wordcount"
)
_COSTLY_TESTS = _names("!= < <= == > >= eq equalto ge greaterthan gt in le lessthan lower lt ne upper")
_PRINTABLE = (str, int, float, list, tuple, dict, Undefined)
# \d and not 0-9: a width may be written in the digits of any script.
_PERCENT_WIDTH = re.compile(r"(?:%[^a-zA-Z%]*|\)[-#\d +.]*)(?:\d{4}|\*)")
_BRACE_WIDTH = re.compile(r"\{[^{}]*(?::[^{}]*\d{4}|\{)")
_WIDTH = re.compile(r"\d{1,3}")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja as chat templates know it, paying from `budget` for what it does; one environment, one rendering."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation], optimized=False, cache_size=0
        )
        self.budget = budget
        self.finalize = self._output
        self.concat = self._concat  # type: ignore[method-assign]
        self.filters = {name: self._paid(name, self.filters[name]) for name in _FREE_FILTERS}
        plain = jinja2.filters.FILTERS
        self.filters.update({name: self._paid(name, plain[name]) for name in _SHALLOW_FILTERS | _DEEP_FILTERS})
        self.filters["tojson"] = self._paid("tojson", self._tojson)
        self.filters["join"] = self._paid("join", self._join)
        self.tests = {name: self._paid_test(name, test) for name, test in dict[str, Any](self.tests).items()}
        self.globals = {
            "range": self._range,
            "dict": self._dict,
            "namespace": _Namespace,
            "raise_exception": _raise_exception,
        }
        self._callables = {id(value) for value in self.globals.values()}

    def allow(self, name: str, function: Callable[..., Any]) -> None:
        """Let templates call a function of ours by this name."""
        self.globals[name] = function
        self._callables.add(id(function))

    # What every piece of work passes through.

    def step(self) -> str:
        """One turn of a loop or one call of a macro."""
        self.budget.spend()
        return ""

    def joined(self, *parts: Any) -> str:
        """The operator ~."""
        texts = []
        for part in parts:
            self.budget.deep(part)
            texts.append(str(part))
        return self._concat(texts)

    def made(self, value: Any) -> Any:
        """A list, tuple or dictionary written in the template, paid for in full so that none grows exponentially."""
        self.budget.deep(value)
        return value

    def sliced(self, value: Any) -> Any:
        """Something about to be copied by a slice."""
        self.budget.shallow(value)
        return value

    def compared(self, operator: str, left: Any, right: Any) -> bool:
        """A comparison, paid for by the smaller side, or by the list that is searched."""
        self._pay_comparison(operator in ("in", "notin"), left, right)
        return bool(_COMPARE[operator](left, right))

    def _pay_comparison(self, searched: bool, left: Any, right: Any) -> None:
        if searched and isinstance(right, list | tuple):
            self.budget.spend(1 + len(right) * (1 + (len(left) if isinstance(left, str) else 0) // 16))
            if isinstance(left, list | tuple | dict):
                self.budget.deep(right)
        elif searched and isinstance(right, str):
            self.budget.shallow(right)
        elif isinstance(left, list | tuple | dict) and isinstance(right, list | tuple | dict):
            self.budget.deep(left)
        else:
            self.budget.shallow(left if isinstance(left, str) else right if isinstance(right, str) else None)

    def _output(self, value: Any) -> str:
        if value is not None and not isinstance(value, _PRINTABLE):
            raise SecurityError(f"a {type(value).__name__} cannot be printed")
        self.budget.deep(value)
        return str(value)

    def _concat(self, parts: Any) -> str:
        texts = list(parts)
        self.budget.text(sum(map(len, texts)))
        return "".join(texts)

    # Operators.

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator, after its result has been found to be of bounded size."""
        self.budget.shallow(left)
        self.budget.shallow(right)
        if operator == "*":
            self._check_product(left, right)
        elif operator == "**":
            self.budget.bits(_bits(left) * abs(right) if isinstance(right, int) else 0)
        elif operator == "%" and isinstance(left, str):
            self._check_format(_PERCENT_WIDTH, left)
            # The fields of a format with keys may all name the same entry.
            self.budget.deep(right, times=left.count("%") if isinstance(right, Mapping) else 1)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, list | tuple):
            self.budget.deep(result)
        elif isinstance(result, str):
            self.budget.text(len(result))
        return result

    def _check_product(self, left: Any, right: Any) -> None:
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int):
                self.budget.text(len(many) * max(times, 0))
                return
        self.budget.bits(_bits(left) + _bits(right))

    # Calls and attributes.

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """A call: of a macro, of a function offered here, or of one of the methods whose cost is known."""
        self, function = __self, __obj
        if getattr(function, "__self__", None) is self and function.__name__ in METERED:
            # Jinja adds variables of the surrounding loop and block, which only functions that take a context want.
            return function(*args, **{name: value for name, value in kwargs.items() if name == "caller"})
        self.budget.spend()
        for value in (*args, *(value for name, value in kwargs.items() if not name.startswith("_"))):
            self.budget.shallow(value)
        # The sandbox wraps str.format, so that fields cannot reach internals; what it wraps tells whose text it is.
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if not isinstance(function, Macro | Undefined | LoopContext) and id(function) not in self._callables:
            name = getattr(function, "__name__", "")
            if not _is_method(owner, name):
                raise SecurityError(f"{name or type(function).__name__!r} cannot be called")
            if isinstance(owner, str):
                args = (list(args[0]), *args[1:]) if name == "join" and args else args  # the check reads it, too
                self._check_str_method(owner, name, args, kwargs)
        result = super().call(__context, function, *args, **kwargs)
        if isinstance(result, str | list | tuple | dict):
            self.budget.shallow(result)
        return result

    def _check_str_method(self, text: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.budget.text(len(text))
        values = (*args, *kwargs.values())
        if name in ("center", "ljust", "rjust", "zfill", "expandtabs"):
            _check_width(*values)
            if name == "expandtabs":
                self.budget.text(len(text) + text.count("\t") * max([8, *map(_width, values)]))
        elif name == "replace" and len(args) >= 2:
            self._check_replace(text, args[0], args[1])
        elif name == "join" and args:
            self.budget.text(len(text) * len(args[0]) + sum(len(item) for item in args[0] if isinstance(item, str)))
        elif name == "format":
            self._check_format(_BRACE_WIDTH, text.replace("{{", "").replace("}}", ""))
            for value in values:
                self.budget.deep(value, times=text.count("{") + 1)
        elif name in ("strip", "lstrip", "rstrip", "rfind", "rindex", "rsplit", "rpartition") and args:
            self._check_search(text, args[0])

    def _check_format(self, forbidden: re.Pattern[str], pattern: str) -> None:
        if forbidden.search(pattern):
            raise SecurityError("a format with a computed width, or one of four digits, is not allowed")
        self.budget.text(sum(map(int, _WIDTH.findall(pattern))))

    def _check_replace(self, text: str, old: Any, new: Any) -> None:
        if isinstance(old, str) and isinstance(new, str):
            self.budget.text(len(text) + text.count(old) * len(new))

    def _check_search(self, text: str, wanted: Any) -> None:
        if isinstance(wanted, str):
            self.budget.spend(len(text) * len(wanted) // 16)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read an attribute: known methods, loop variables, what it put in a namespace."""
        if attr.startswith("_"):
            return False
        return isinstance(obj, Namespace | LoopContext | Macro) or _is_method(obj, attr)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        """A refused attribute reads as the entry of that name where there is one, else as undefined."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().unsafe_undefined(obj, attribute)

    # Filters, tests, functions.

    def _paid(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        skip = 1 if hasattr(function, "jinja_pass_arg") else 0
        pay = self.budget.deep if name in _DEEP_FILTERS else self.budget.shallow

        def paid(*args: Any, **kwargs: Any) -> Any:
            self.budget.spend()
            if name not in _FREE_FILTERS:
                for value in (*args[skip:], *kwargs.values()):
                    pay(value)
                self._check_filter(name, *args[skip:], **kwargs)
            result = function(*args, **kwargs)
            if name not in _FREE_FILTERS:
                self.budget.shallow(result)
            return result

        return _marked_as(function, paid)

    def _check_filter(self, name: str, value: Any = None, *args: Any, **kwargs: Any) -> None:
        options = (*args, *kwargs.values())
        if name in ("center", "batch", "slice", "round", "truncate"):
            _check_width(*options)
        elif name == "indent":
            _check_width(*options, *(len(option) for option in options if isinstance(option, str)))
            self.budget.text((str(value).count("\n") + 2) * max([4, *map(_width, options)]))
        elif name == "replace" and len(args) >= 2:
            self._check_replace(str(value), args[0], args[1])
        elif name == "trim" and args:
            self._check_search(str(value), args[0])
        elif name == "sum" and not all(isinstance(option, int | float | str) for option in options):
            raise SecurityError("the filter sum adds numbers only")

    def _paid_test(self, name: str, test: Callable[..., Any]) -> Callable[..., Any]:
        if name not in _COSTLY_TESTS:
            return test

        def paid(left: Any, *right: Any) -> Any:
            self._pay_comparison(name == "in", left, right[0] if right else None)
            return test(left, *right)

        return _marked_as(test, paid)

    def _tojson(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """JSON without HTML escapes, with the options that templates use."""
        _check_width(*([_width(indent)] if indent is not None else []), *(len(text) for text in separators or ()))
        encoder = json.JSONEncoder(
            ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=bool(sort_keys)
        )
        if indent is None:
            return encoder.encode(value)
        return self._concat(_spending(encoder.iterencode(value), self.budget))

    def _join(self, value: Any, d: str = "", attribute: str | int | None = None) -> str:
        if attribute is not None:
            get = jinja2.filters.make_attrgetter(self, attribute)
            value = map(get, value)
        between = str(d)
        parts: list[str] = []
        for item in value:
            self.budget.deep(item)
            if parts:
                self.budget.text(len(between))
                parts.append(between)
            parts.append(str(item))
        return self._concat(parts)

    def _range(self, *args: int) -> range:
        numbers = range(*args)
        self.budget.spend(len(numbers))
        return numbers

    def _dict(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        value = dict(*args, **kwargs)
        self.budget.deep(value)
        return value

    def generated(self, caller: Callable[[], str]) -> str:
        """The body of a {% generation %} block."""
        return caller()

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = Metering().visit(super()._parse(source, name, filename))
        return tree


class _Namespace(Namespace):
    """A place for variables that outlive a loop; it holds no underscored names and no other namespace."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # a template may store the name "self"
        self, values = args[0], dict(*args[1:], **kwargs)
        Namespace.__init__(self, {})
        for name, value in values.items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_") or isinstance(value, Namespace):
            raise SecurityError(f"a namespace cannot hold {name!r}")
        Namespace.__setitem__(self, name, value)


def _marked_as(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper with the marks by which Jinja knows what to pass: an environment makes a hundred, `wraps` is slow."""
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    return wrapper


def _raise_exception(message: Any) -> None:
    raise jinja2.TemplateRuntimeError(str(message))


def _is_method(owner: Any, name: str) -> bool:
    return any(isinstance(owner, kind) and name in names for kind, names in _METHODS)


def _bits(value: Any) -> int:
    return int(value).bit_length() if isinstance(value, int) else 0


def _width(value: Any) -> int:
    return len(value) if isinstance(value, str) else abs(value) if isinstance(value, int) else 0


def _check_width(*values: Any) -> None:
    for value in values:
        if (isinstance(value, int) and abs(value) > _MAX_WIDTH) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise SecurityError(f"a width of {value} is too large, at most {_MAX_WIDTH}")


def _spending(chunks: Any, budget: Budget) -> Any:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        budget.text(min(total, MAX_TEXT + 1) if total > MAX_TEXT else len(chunk))
        yield chunk
