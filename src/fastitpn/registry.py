"""Things by name, each imported when it is asked for: a new one is a file, and a line here or in a program of yours."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, cast

from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name

Member = TypeVar("Member")


class Registry(Generic[Member]):
    """Names, and what they stand for.

    Args:
        kind: What a member is called in messages, such as "detector".
        members: Name to "module:attribute", which is imported when the name is asked for.
        extras: Name to the extra of this package that installs what the member needs.
        forms: Name to what people type in place of the bare name, as `timm:NAME`.
    """

    def __init__(
        self,
        kind: str,
        members: Mapping[str, str],
        extras: Mapping[str, str] | None = None,
        forms: Mapping[str, str] | None = None,
    ):
        self.kind = kind
        self.forms = dict(forms or {})
        self._members: dict[str, Member | str] = dict(members)
        self._extras = dict(extras or {})

    def name_in(self, typed: str) -> str:
        """The name of the member that is meant: what stands before a colon, as in `timm:resnet18`."""
        return typed.partition(":")[0]

    def register(self, name: str, member: Member | str) -> None:
        """Add a member, or put another in its place.

        Args:
            name: What people type.
            member: The thing itself, or "module:attribute".
        """
        self._members[name] = member

    def unregister(self, name: str) -> None:
        """Take a member out again."""
        del self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._members))

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> Member:
        """The member of a name.

        Raises:
            InputError: There is none, or a package that it needs is not installed.
        """
        if name not in self._members:
            raise self.unknown(name)
        member = self._members[name]
        if not isinstance(member, str) or ":" not in member:
            return cast(Member, member)
        module, _, attribute = member.partition(":")
        try:
            imported: Member = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
                raise  # a mistake in this package
            extra = self._extras.get(name)
            raise InputError(
                f"the {self.kind} {name!r} needs a package that is not installed",
                where=error.name,
                expected=f"the package {error.name}",
                fix=f"pip install 'fastitpn[{extra}]'" if extra else f"pip install {error.name}",
            ) from error
        self._members[name] = imported
        return imported

    def unknown(self, name: object, where: str | None = None) -> InputError:
        """The error for a name that nothing has: it lists those that are there, and the nearest one."""
        near = nearest_name(str(name), list(self))
        names = list(self)
        listed = ", ".join(names)
        return InputError(
            f"there is no {self.kind} {name!r}",
            where=where,
            expected=f"one of {listed}" if len(names) > 1 else listed or f"a registered {self.kind}",
            fix=f"{where or self.kind.split()[-1]}={near}" if near else None,
        )
