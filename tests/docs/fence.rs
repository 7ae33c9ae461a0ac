//! Reads the fenced blocks of a page.

/// A fenced block: what stands behind the opening fence, and the lines up to the closing one.
#[derive(Debug)]
pub(crate) struct Fence {
    /// The line of the opening fence, counted from one.
    pub(crate) line: usize,
    /// The first word behind the fence: the language.
    pub(crate) language: String,
    /// The rest of that line.
    pub(crate) info: String,
    /// The content, each line with its end.
    pub(crate) text: String,
}

impl Fence {
    /// Says whether the info line starts with a word.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.info.split([' ', ':']).next() == Some(word)
    }

    /// Returns the value of `name=value` on the info line.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.info.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns what stands behind the first colon of the info line: why a block is not run.
    pub(crate) fn reason(&self) -> &str {
        self.info.split_once(':').map_or("", |(_, reason)| reason.trim())
    }
}

/// Returns the blocks of a page, in order.
pub(crate) fn fences(page: &str) -> Vec<Fence> {
    let mut found: Vec<Fence> = Vec::new();
    let mut open: Option<(String, usize, Fence)> = None;
    for (index, line) in page.lines().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let marks = body.len() - body.trim_start_matches('`').len();
        match open.take() {
            None if marks >= 3 => {
                let rest = body.trim_start_matches('`').trim();
                let (language, info) = rest.split_once(' ').unwrap_or((rest, ""));
                let fence = Fence {
                    line: index + 1,
                    language: language.to_owned(),
                    info: info.trim().to_owned(),
                    text: String::new(),
                };
                open = Some(("`".repeat(marks), indent, fence));
            }
            None => {}
            Some((marks, _, fence)) if body.trim_end() == marks => found.push(fence),
            Some((marks, indent, mut fence)) => {
                // A block in a list is indented with it.
                let cut = indent.min(line.len() - line.trim_start().len());
                fence.text.push_str(&line[cut..]);
                fence.text.push('\n');
                open = Some((marks, indent, fence));
            }
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    found
}

#[test]
fn blocks_are_found_with_what_their_fence_says() {
    let page = "text\n\n```sh\necho\n```\n\n  ```yaml file=dsops.yaml\n  a:\n    b\n  ```\n\n````md no-run: shown only\n```\n````\n";
    let found = fences(page);
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].language.as_str(), found[0].line, found[0].text.as_str()), ("sh", 3, "echo\n"));
    assert_eq!((found[1].option("file"), found[1].text.as_str()), (Some("dsops.yaml"), "a:\n  b\n"));
    assert!(found[2].says("no-run"));
    assert_eq!((found[2].reason(), found[2].text.as_str()), ("shown only", "```\n"));
}
