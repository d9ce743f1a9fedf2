/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl completion SHELL: what a shell loads.  Each script hands the line
 * back to `meshctl completion words`, so that what is offered is decided in
 * one place (ctl_words.c), of the meshctl that the line begins with.
 */

#include "ctl_args.h"
#include "ctl_words.h"

/*
 * Readline breaks words at ":" and "=", which are in addresses: they are put
 * together again, and what stands before the last break is not repeated.
 */
static const char bash[] =
    "# bash completion of meshctl: made by `meshctl completion bash`\n"
    "_meshctl() {\n"
    "    local i word joined=no cut line\n"
    "    local -a words=()\n"
    "    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ ${#words[@]} -gt 0 && ($word == [:=]* || $joined == yes) ]]"
    "; then\n"
    "            words[${#words[@]}-1]+=$word\n"
    "        else\n"
    "            words+=(\"$word\")\n"
    "        fi\n"
    "        joined=no\n"
    "        [[ $word != *[:=] ]] || joined=yes\n"
    "    done\n"
    "    word=${words[${#words[@]}-1]}\n"
    "    cut=${word%\"${word##*[:=]}\"}\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r line _; do\n"
    "        case $line in\n"
    "            " CTL_SHELL_FILES ") compopt -o filenames\n"
    "                mapfile -t COMPREPLY < <(compgen -f -- \"$2\") ;;\n"
    "            " CTL_SHELL_DIRECTORIES ") compopt -o filenames\n"
    "                mapfile -t COMPREPLY < <(compgen -d -- \"$2\") ;;\n"
    "            *) COMPREPLY+=(\"${line#\"$cut\"}\") ;;\n"
    "        esac\n"
    "    done < <(\"$1\" completion words -- \"${words[@]}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _meshctl meshctl\n";

static const char zsh[] =
    "#compdef meshctl\n"
    "# zsh completion of meshctl: made by `meshctl completion zsh`\n"
    "_meshctl() {\n"
    "    local line word\n"
    "    local -a lines found\n"
    "    lines=(\"${(@f)$(${(Q)words[1]} completion words -- "
    "\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "    case $lines[1] in\n"
    "        " CTL_SHELL_FILES ") _files; return ;;\n"
    "        " CTL_SHELL_DIRECTORIES ") _files -/; return ;;\n"
    "    esac\n"
    "    for line in $lines; do\n"
    "        word=${line%%$'\\t'*}\n"
    "        if [[ $line == *$'\\t'* ]]; then\n"
    "            found+=(\"${word//:/\\\\:}:${line#*$'\\t'}\")\n"
    "        else\n"
    "            found+=(\"${word//:/\\\\:}\")\n"
    "        fi\n"
    "    done\n"
    "    _describe -V meshctl found\n"
    "}\n"
    "if [[ $funcstack[1] == _meshctl ]]; then\n"
    "    _meshctl \"$@\"\n"
    "else\n"
    "    compdef _meshctl meshctl\n"
    "fi\n";

static const char fish[] =
    "# fish completion of meshctl: made by `meshctl completion fish`\n"
    "function __meshctl_words\n"
    "    set -l words (commandline -opc)\n"
    "    set -l current (commandline -ct)\n"
    "    set -l lines ($words[1] completion words -- $words[2..-1] "
    "\"$current\" 2>/dev/null)\n"
    "    switch \"$lines[1]\"\n"
    "        case " CTL_SHELL_FILES "\n"
    "            __fish_complete_path $current\n"
    "        case " CTL_SHELL_DIRECTORIES "\n"
    "            __fish_complete_directories $current\n"
    "        case '*'\n"
    "            printf '%s\\n' $lines\n"
    "    end\n"
    "end\n"
    "complete -c meshctl -f -a '(__meshctl_words)'\n";

static const struct {
    const char *name;
    const char *script;
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

int ctl_completion(const ctl_args_t *args) {
    if (strcmp(args->argv[0], "words") == 0) {
        ctl_words_print(args, args->argc - 1, args->argv + 1, stdout);
        return CTL_EXIT_OK;
    }
    for (size_t i = 0; i < mesh_nelts(shells); i++) {
        if (strcmp(args->argv[0], shells[i].name) == 0 && args->argc == 1) {
            fputs(shells[i].script, stdout);
            return CTL_EXIT_OK;
        }
    }
    fprintf(stderr, "usage: meshctl completion bash|zsh|fish\n");
    return CTL_EXIT_USAGE;
}
