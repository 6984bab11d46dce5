"""How help is written: options in groups, the common ones first, in plain words, as wide as the terminal.

Typer's panels would be drawn by Rich, whose import takes longer than all the rest of a help text, and whose frames do not
fit into a pipe. The subcommands are registered on a ``Commands``, which makes all of them write their help in this way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from capgen.cli.console import choice

_WIDE = 10_000
"""More columns than a terminal has; Click would not go beyond 80."""


def one_of(*names: Iterable[str], metavar: str = "") -> dict[str, Any]:
    """Return the arguments of ``typer.Option`` that make its value one of some names, of a registry for example.

    The choices stand in the help and in the message about another value, and shells complete them.

    Args:
        names: The names. One that is there twice counts once.
        metavar: What stands for a value in the help instead of all choices, where they are too many for a line.
    """
    known = list(dict.fromkeys(name for group in names for name in group))

    def check(value: Any) -> Any:
        for name in [value] if isinstance(value, str) else value or ():
            if name not in known:
                raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, known))}")
        return value

    return {"metavar": metavar or "|".join(known), "autocompletion": lambda: known, "callback": check}


class _PlainUsage:
    """What a command and a group of commands have in common: the first line of the help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]  # Typer puts what has to be given in braces


class PlainCommand(_PlainUsage, TyperCommand):
    """A command whose help says of each option how it is written, what it does, its default and its range, in groups.

    Attributes:
        groups: The names of the parameters by the title of their group, in the order of the help. What is in none of them
            comes last.
        examples: Command lines that end the help.
    """

    groups: Mapping[str, Sequence[str]] = {}
    examples: Sequence[str] = ()

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the groups and their options, and then the examples."""
        _write_parameters(self, ctx, formatter, self.groups)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class PlainGroup(_PlainUsage, TyperGroup):
    """A group of commands whose help is written like that of its commands, with a whole sentence for each."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options and then the commands."""
        _write_parameters(self, ctx, formatter, {})
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].get_short_help_str(_WIDE)) for name in self.list_commands(ctx)])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``help COMMAND`` for ``COMMAND --help``."""
        for parameter in self.get_params(ctx):
            if parameter.default is None and getattr(parameter, "is_flag", False):
                # Those of Typer, which would load Pydantic to find out that None is no Boolean.
                parameter.default = False
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; the message about one that is not there lists those that are."""
        if self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}; there are {choice(self.list_commands(ctx), 'and')}")
        return super().resolve_command(ctx, args)


class Commands(typer.Typer):
    """A group of subcommands with plain help."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("cls", PlainGroup)
        context = {"help_option_names": ["-h", "--help"], "max_content_width": _WIDE, **settings.pop("context_settings", {})}
        super().__init__(context_settings=context, rich_markup_mode=None, **settings)

    def command(  # type: ignore[override]
        self,
        name: str | None = None,
        *,
        cls: type[PlainCommand] = PlainCommand,
        groups: Mapping[str, Sequence[str]] | None = None,
        examples: Sequence[str] = (),
        **settings: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that makes a function a subcommand.

        Args:
            name: The name of the subcommand.
            cls: Its class.
            groups: The groups of its options; see ``PlainCommand``.
            examples: Command lines that end its help.
            settings: Other arguments of ``typer.Typer.command``.
        """
        kind = type("Command", (cls,), {"groups": groups or {}, "examples": examples})
        return super().command(name, cls=kind, **settings)


def _write_parameters(command: Any, ctx: Any, formatter: Any, groups: Mapping[str, Sequence[str]]) -> None:
    """Write the arguments and options of a command, those of each group below its title."""
    by_name = {parameter.name: parameter for parameter in command.get_params(ctx) if not parameter.hidden}
    sections = {title: [by_name.pop(name) for name in names if name in by_name] for title, names in groups.items()}
    rest = by_name.values()
    sections["Arguments"] = [parameter for parameter in rest if parameter.param_type_name == "argument"]
    sections["Other options" if groups else "Options"] = [each for each in rest if each.param_type_name == "option"]
    rows = {title: [_row(command, ctx, each) for each in found] for title, found in sections.items() if found}
    names = [name for found in rows.values() for name, _ in found]
    widest = max((len(name) for name in names if len(name) <= formatter.width // 3), default=formatter.width // 3)
    for title, found in rows.items():
        with formatter.section(title):
            # Columns are as wide in every section, so that the descriptions stand below each other.
            formatter.write_dl([(f"{name:<{widest}}", text) for name, text in found], col_max=widest)


def _row(command: Any, ctx: Any, parameter: Any) -> tuple[str, str]:
    """Return how a parameter is written, and what it does with its default and its range."""
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        both = (*parameter.opts, *parameter.secondary_opts)
        name = ", ".join(sorted(both, key=lambda option: option.startswith("--")))
        if not parameter.is_flag:
            name += f" {parameter.metavar or _value(command, parameter)}"
    more = filter(None, (_default(ctx, parameter), _range(command, parameter), "repeatable" * _is_repeatable(parameter)))
    remark = "; ".join([*more, *(["required"] if parameter.required and parameter.param_type_name == "option" else [])])
    return name, f"{parameter.help or ''}{f'  [{remark}]' if remark else ''}".strip()


def _is_repeatable(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option" and parameter.multiple)


def _declared(command: Any, parameter: Any) -> tuple[Any, Any]:
    """Return the type and the ``typer.Option`` of a parameter as it is declared; ``None`` twice for one of Typer's own."""
    import inspect

    declared = inspect.signature(command.callback).parameters.get(parameter.name) if command.callback else None
    return get_args(declared.annotation)[:2] if declared else (None, None)


def _value(command: Any, parameter: Any) -> str:
    """Return the word that stands for the value of an option: its choices, or what kind of value it is."""
    kind, _ = _declared(command, parameter)
    while get_origin(kind) is not None:  # lists and unions begin with the kind of the value
        kind = get_args(kind)[0]
    if issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    return {"int": "NUMBER", "float": "NUMBER", "Path": "PATH"}.get(kind.__name__, "TEXT")


def _default(ctx: Any, parameter: Any) -> str:
    default = parameter.get_default(ctx, call=False)
    if default is None or isinstance(default, bool) or default in ("", [], ()):
        return ""
    plain = default.value if isinstance(default, Enum) else default
    return f"default: {f'{plain:g}' if isinstance(plain, float) else plain}"


def _range(command: Any, parameter: Any) -> str:
    _, declared = _declared(command, parameter)
    least, most = getattr(declared, "min", None), getattr(declared, "max", None)
    if most is not None:
        return f"{least} to {most}"
    return f"{least} or more" if least is not None else ""
