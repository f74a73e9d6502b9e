# shellcheck shell=bash
# Completion of ringchatctl for bash: the tool itself knows what may stand where.

_ringchatctl() {
    local line words=() word candidate names=() prefix=
    local cur=${COMP_WORDS[COMP_CWORD]}

    # bash takes "--json=short" for three words.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ ${#words[@]} -gt 0 && ($word == = || ${words[-1]} == --*=) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    [[ ${words[-1]} == --*=* ]] && prefix=${words[-1]%%=*}=
    [[ $cur == = ]] && cur=

    COMPREPLY=()
    while IFS= read -r line; do
        candidate=${line%%$'\t'*}
        if [[ $candidate == :files ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
        else
            names+=("${candidate#"$prefix"}")
        fi
    done < <(command "${COMP_WORDS[0]}" --complete "${words[@]}" 2>/dev/null)
    for candidate in "${names[@]}"; do
        printf -v candidate %q "$candidate"
        COMPREPLY+=("${candidate//\\~/\~}")
    done
}

complete -F _ringchatctl ringchatctl
