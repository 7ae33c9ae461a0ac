# Loads the environment of the nearest dsops.yaml that is trusted; see `dsops trust`.
# Records do not reach other programs, so that what is kept in them stays in this shell.
def _dsops_run [...words: string] {
    let program = if (@PROGRAM@ | path exists) { @PROGRAM@ } else { "dsops" }
    with-env { DSOPS_HOOK_STATE: ($env._dsops?.state? | default "") } {
        ^$program hook-env nushell ...$words ...[@OPTIONS@]
    }
}
def --env _dsops_hook [] {
    let text = (_dsops_run)
    if ($text | is-empty) { return }
    let answer = ($text | from json)
    let old = ($env._dsops?.old? | default {})
    for name in $answer.gone {
        if $name in $old { load-env { $name: ($old | get $name) } } else { hide-env --ignore-errors $name }
    }
    $env._dsops = { state: $answer.state, old: {} }
    if not $answer.load { return }
    let text = (_dsops_run "--load")
    if ($text | is-empty) { return }
    let answer = ($text | from json)
    let old = ($answer.set | columns | where { |name| $name in $env } | reduce --fold {} { |name, kept|
        $kept | insert $name ($env | get $name)
    })
    load-env $answer.set
    $env._dsops = { state: $answer.state, old: $old }
}
$env.config = ($env.config | upsert hooks.pre_prompt (
    ($env.config.hooks?.pre_prompt? | default [] | where { |hook| ($hook | describe) != "string" or $hook != "_dsops_hook" }) ++ ["_dsops_hook"]
))
