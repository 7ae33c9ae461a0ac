//! Near misses: which known name was probably meant.

/// Returns the candidate closest to a name, where one is close enough to be a slip of the keys.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    // A third of the letters may differ, and at least one: `db` and `bd` are close, `a` and `b` not.
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (strsim::osa_distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns ``did you mean `x`?`` for the closest candidate.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// Returns names as a phrase: ``"`a`, `b` and `c`"``.
pub fn and_ticked<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let ticked: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match ticked.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keys_is_recognised() {
        let names = ["vault", "infisical", "local"];
        assert_eq!(closest("valut", names), Some("vault"));
        assert_eq!(closest("Infisical", names), Some("infisical"));
        assert_eq!(closest("kubernetes", names), None);
        assert_eq!(closest("x", ["y"]), None);
    }

    #[test]
    fn a_list_reads_as_a_phrase() {
        assert_eq!(and_ticked(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(and_ticked([]), "none");
    }
}
