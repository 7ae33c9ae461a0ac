//! What an `import` asks for, and whether its store can give it.

use dsops_providers::contract::{ListQuery, Node, Span};

use super::error::{Code, ConfigError};
use super::model::{Config, Import};
use super::shape::ImportShape;
use crate::reference::parse_name;

/// The options of an import that not every store knows, with where they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    pub(super) recursive: Option<Span>,
    pub(super) tags: Option<Span>,
    pub(super) metadata: Option<Span>,
}

pub(super) fn read_import(node: &Node, shape: ImportShape) -> Result<Import, ConfigError> {
    let place = node.get("store").unwrap_or(node);
    let (store, folder) = shape.store.split_once('/').unwrap_or((shape.store.as_str(), ""));
    parse_name(store).map_err(|error| {
        ConfigError::at(Code::ReferenceSyntax, place.span, error.message).help("write `store/folder`")
    })?;
    let at = |option: &str| node.get(option).unwrap_or(node).span;
    let prefix = shape.prefix.unwrap_or_default();
    if prefix.contains(['=', '\0']) {
        return Err(ConfigError::at(Code::Invalid, at("prefix"), "a prefix has no `=`"));
    }
    if let Some(tag) = shape.tags.iter().find(|tag| tag.is_empty() || tag.contains(',')) {
        let message = format!("`{tag}` is no tag: a tag is not empty and has no comma");
        return Err(ConfigError::at(Code::Invalid, at("tags"), message)
            .help("write each tag by its slug, as one item of the list"));
    }
    let odd = |(key, value): &(&String, &String)| {
        key.is_empty() || value.is_empty() || key.contains(['=', ',', '|']) || value.contains([',', '|'])
    };
    if let Some((key, _)) = shape.metadata.iter().find(odd) {
        let message = format!("the metadata `{key}` cannot be asked for: `,`, `|` or nothing stands in it");
        return Err(ConfigError::at(Code::Invalid, at("metadata"), message)
            .help("choose by another key, or by `tags`"));
    }
    let given = |option: &str, said: bool| said.then(|| at(option));
    Ok(Import {
        store: store.to_owned(),
        choices: Choices {
            recursive: given("recursive", shape.recursive),
            tags: given("tags", !shape.tags.is_empty()),
            metadata: given("metadata", !shape.metadata.is_empty()),
        },
        query: ListQuery {
            folder: folder.trim_matches('/').to_owned(),
            recursive: shape.recursive,
            tags: shape.tags,
            metadata: shape.metadata.into_iter().collect(),
        },
        prefix,
        optional: shape.optional,
        span: place.span,
    })
}

impl Config {
    /// Checks that the store of an import has folders, and can choose from them as the import says.
    pub(super) fn check_import(&self, import: &Import, named: &[&str]) -> Result<(), ConfigError> {
        let Some(store) = self.stores.get(&import.store) else {
            if named.contains(&import.store.as_str()) {
                return Ok(());
            }
            return Err(self.unknown_store(&import.store, import.span));
        };
        let kind = store.descriptor.kind;
        if !store.descriptor.about.parts.folders {
            let message = format!("a store of type `{kind}` has no folders to import");
            return Err(ConfigError::at(Code::ImportUnsupported, import.span, message)
                .help("name each variable with `from`"));
        }
        let (choices, can) = (&import.choices, store.descriptor.listings);
        let refuse = |span: Option<Span>, message: String, help: &str| match span {
            Some(span) => Err(ConfigError::at(Code::ImportUnsupported, span, message).help(help)),
            None => Ok(()),
        };
        if !can.recursive {
            let message = format!("a store of type `{kind}` does not list the folders below a folder");
            refuse(choices.recursive, message, "import each of the folders")?;
        }
        if !can.tags {
            let message = format!("a store of type `{kind}` has no tags to choose by");
            refuse(choices.tags, message, "name each variable with `from`")?;
        }
        if can.metadata == 0 {
            let message = format!("a store of type `{kind}` has no metadata to choose by");
            refuse(choices.metadata, message, "name each variable with `from`")?;
        } else if import.query.metadata.len() > can.metadata {
            let message =
                format!("a store of type `{kind}` chooses by {} pairs of metadata at most", can.metadata);
            refuse(choices.metadata, message, "take some of them out")?;
        }
        Ok(())
    }
}
