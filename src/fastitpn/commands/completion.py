"""`fastitpn completion`: what a shell reads to complete verbs, keys, values and runs at the Tab key."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from fastitpn.commands.verb import Verb
from fastitpn.config import Config
from fastitpn.console import say

SCRIPTS = {
    "bash": """\
_fastitpn() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\\n'
    local word="${line##*[[:space:]]}"
    COMPREPLY=($(fastitpn completion -- "$line" 2>/dev/null))
    # without a space behind key= and folder/
    [[ "${COMPREPLY[0]}" == *[=/] ]] && compopt -o nospace
    # bash divides words at = and :, and completes the last part
    local last="${word##*[$COMP_WORDBREAKS]}"
    COMPREPLY=("${COMPREPLY[@]#"${word%"$last"}"}")
}
complete -o default -F _fastitpn fastitpn
""",
    "zsh": """\
#compdef fastitpn
_fastitpn() {
    local -a given
    given=("${(@f)$(fastitpn completion -- "${LBUFFER}" 2>/dev/null)}")
    compadd -S '' -- ${(M)given:#*[=/]}
    compadd -- ${given:#*[=/]}
    [[ $PREFIX == *=* ]] && compset -P '*='
    _files
}
compdef _fastitpn fastitpn
""",
    "fish": """\
complete -c fastitpn -a '(fastitpn completion -- (commandline -cp) 2>/dev/null)'
""",
}
"""What each shell reads; it asks `fastitpn completion -- LINE` for the words that may follow."""


@dataclass(frozen=True, kw_only=True)
class CompletionConfig(Config):
    """Completion."""

    _command: ClassVar[str] = "completion"
    _positional: ClassVar[tuple[str, ...]] = ("shell",)

    shell: Literal["bash", "zsh", "fish"]
    """The shell that completes."""


VERB = Verb(
    config=CompletionConfig,
    sentence="Print the script with which a shell completes commands at the Tab key.",
    example="fastitpn completion bash",
    run="fastitpn.commands.completion:run",
)


def run(config: CompletionConfig) -> str:
    """Print what the shell reads."""
    say(SCRIPTS[config.shell].rstrip("\n"))
    return SCRIPTS[config.shell]
