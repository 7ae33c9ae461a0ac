# Loads the environment of the nearest dsops.yaml that is trusted; see `dsops trust`.
_dsops_run() {
    if [ -x @PROGRAM@ ]; then DSOPS_HOOK_STATE=${_dsops_state-} @PROGRAM@ "$@"
    else DSOPS_HOOK_STATE=${_dsops_state-} command dsops "$@"; fi
}
# Keeps the value that a variable has, in one that is not exported: NAME, and `e` where the shell exports it.
_dsops_save() {
    eval "if [ -n \"\${$1+x}\" ]; then _dsops_old_$1=$2\$$1; else unset _dsops_old_$1; fi"
}
_dsops_restore() {
    eval "case \${_dsops_old_$1-} in
        e*) export $1=\"\${_dsops_old_$1#e}\" ;;
        p*) unset $1; $1=\"\${_dsops_old_$1#p}\" ;;
        *) unset $1 ;;
    esac; unset _dsops_old_$1"
}
