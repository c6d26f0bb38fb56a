"""`datadiet completion`: print the script that lets a shell complete the command line. Nothing is edited."""

import sys

from datadiet_cli.errors import ConfigError

_BASH = r"""# datadiet: completion for bash 4.4 or newer. To have it in every shell, put this into ~/.bashrc:
#     eval "$(datadiet completion bash)"
_datadiet() {
    local -a answer
    local line
    COMPREPLY=()
    mapfile -t answer < <(_DATADIET_COMPLETE=bash "${1/#\~/$HOME}" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    case "${answer[0]}" in
    files)
        # What readline does by itself knows about blanks and quotes.
        compopt -o default
        ;;
    words)
        for line in "${answer[@]:1}"; do
            line="${line%%$'\t'*}"
            # --method=fast is three words to bash, and only the last is replaced.
            [[ "$COMP_WORDBREAKS" == *=* ]] && line="${line#--*=}"
            COMPREPLY+=("$line")
        done
        ;;
    esac
}
complete -F _datadiet datadiet
"""

_ZSH = r"""#compdef datadiet
# datadiet: completion for zsh. To have it in every shell, put this into ~/.zshrc, below compinit:
#     eval "$(datadiet completion zsh)"
# or write it to a file _datadiet in a folder of $fpath.
_datadiet() {
    local -a answer offered
    local line
    answer=("${(@f)$(_DATADIET_COMPLETE=zsh "${words[1]/#\~/$HOME}" "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case "${answer[1]}" in
    files)
        [[ "$PREFIX" == --*=* ]] && compset -P '*='
        _files
        ;;
    words)
        for line in "${(@)answer[2,-1]}"; do
            # A colon parts a word from its meaning.
            offered+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        done
        _describe -t words datadiet offered
        ;;
    esac
}
if [[ "${funcstack[1]}" == _datadiet ]]; then
    _datadiet "$@"
else
    compdef _datadiet datadiet
fi
"""

_FISH = r"""# datadiet: completion for fish. To have it in every shell:
#     datadiet completion fish > ~/.config/fish/completions/datadiet.fish
function __datadiet_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~' -- $HOME $words[1])
    set -l answer (env _DATADIET_COMPLETE=fish $program $words[2..-1] $typed 2>/dev/null)
    switch "$answer[1]"
        case files
            set -l before (string match -r -- '^--[^=]+=' $typed)
            set -l path (string replace -r -- '^--[^=]+=' '' $typed)
            for found in (__fish_complete_path $path)
                printf '%s\n' "$before$found"
            end
        case words
            string join -- \n $answer[2..-1]
    end
end
complete --command datadiet --no-files --arguments '(__datadiet_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(shell: str) -> int:
    """Print the script for a shell and give the exit code.

    Raises:
        ConfigError: if there is no script for that shell.
    """
    if shell not in SCRIPTS:
        raise ConfigError(f"{shell}: no completion for this shell; there is one for {', '.join(SCRIPTS)}")
    sys.stdout.write(SCRIPTS[shell])
    return 0
