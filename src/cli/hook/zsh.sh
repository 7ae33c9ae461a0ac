_dsops_ask() {
    local statements
    statements=$(_dsops_run hook-env zsh "$@" @OPTIONS@) && eval "$statements"
}
_dsops_load() { _dsops_ask --load; }
_dsops_hook() {
    local last=$?
    # A subshell that changes its directory ends soon.
    (( ZSH_SUBSHELL )) || _dsops_ask
    return $last
}
typeset -ga precmd_functions chpwd_functions
if (( ! ${precmd_functions[(I)_dsops_hook]} )); then precmd_functions=(_dsops_hook $precmd_functions); fi
if (( ! ${chpwd_functions[(I)_dsops_hook]} )); then chpwd_functions=(_dsops_hook $chpwd_functions); fi
