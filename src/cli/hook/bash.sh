_dsops_ask() {
    local statements
    statements=$(_dsops_run hook-env bash "$@" @OPTIONS@) && eval "$statements"
}
_dsops_load() { _dsops_ask --load; }
_dsops_hook() {
    local last=$?
    _dsops_ask
    return "$last"
}
case " ${PROMPT_COMMAND[*]-} " in
*_dsops_hook*) ;;
*)
    case $(declare -p PROMPT_COMMAND 2>/dev/null) in
    'declare -a'*) PROMPT_COMMAND=(_dsops_hook "${PROMPT_COMMAND[@]}") ;;
    *) PROMPT_COMMAND="_dsops_hook${PROMPT_COMMAND:+; $PROMPT_COMMAND}" ;;
    esac
    ;;
esac
