//! Decodes a store's options from the span tree: serde over [`Node`], with positions on its errors.

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::credential::{CREDENTIAL, LITERAL};
use super::{EnvSnapshot, Node, NodeKind, SecretValue, Span};

/// What `${VAR}` and `{from: …}` mean where options are decoded.
pub trait Expand {
    /// Expands `${NAME}` and `${NAME:-default}` in an option.
    ///
    /// # Errors
    ///
    /// Where a name is not set, or the text is not well formed.
    fn text(&self, raw: &str, span: Span) -> Result<String, DecodeError>;

    /// Resolves a credential: text with `${VAR}`, or a mapping with `from`.
    ///
    /// # Errors
    ///
    /// As [`Expand::text`], and where the node is neither.
    fn credential(&self, node: &Node) -> Result<SecretValue, DecodeError>;

    /// Returns the environment that options left out are filled from, if there is one: a file that is only
    /// checked means the same everywhere.
    fn env(&self) -> Option<&EnvSnapshot> {
        None
    }
}

/// Takes text as it stands: for tests, and for options that are complete.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExpansion;

impl Expand for NoExpansion {
    fn text(&self, raw: &str, _: Span) -> Result<String, DecodeError> {
        Ok(raw.to_owned())
    }

    fn credential(&self, node: &Node) -> Result<SecretValue, DecodeError> {
        match node.text() {
            Some(text) => Ok(SecretValue::from(text)),
            None => Err(DecodeError::wrong_type(node, "a credential")),
        }
    }
}

/// What kind of mistake a [`DecodeError`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// A key that nothing reads, with those that would be read.
    UnknownField {
        /// The key in the file.
        field: String,
        /// The keys that the mapping can have.
        expected: &'static [&'static str],
    },
    /// A name that is not set in the environment.
    UnsetVariable(String),
    /// A credential's file that is not there or cannot be read.
    Unreadable,
    /// A null where a value is needed.
    Null,
    /// A value of another type than needed.
    WrongType,
    /// A key that is missing.
    MissingField,
    /// Anything else.
    Invalid,
}

/// A mistake in an option, with its place.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// The message: a lowercase fragment without values.
    pub message: String,
    /// Where; the whole mapping where nothing closer is known.
    pub span: Option<Span>,
    /// The advice, where there is one.
    pub help: Option<String>,
    /// Which mistake it is.
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    /// Returns an error at a place.
    #[must_use]
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), help: None, kind: DecodeErrorKind::Invalid }
    }

    /// Adds the advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the error for a value of another type than needed.
    #[must_use]
    pub fn wrong_type(node: &Node, needed: &str) -> Self {
        let null = matches!(node.kind, NodeKind::Null);
        let kind = if null { DecodeErrorKind::Null } else { DecodeErrorKind::WrongType };
        Self { kind, ..Self::at(node.span, format!("{} where {needed} is needed", node.what())) }
    }

    fn located(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None, help: None, kind: DecodeErrorKind::Invalid }
    }

    // The default texts quote the unexpected value, which may be a secret.
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let what = match unexpected {
            Unexpected::Bool(_) => "a truth value",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Char(_) | Unexpected::Str(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "a value of another type",
        };
        let error = Self::custom(format_args!("{what} where {expected} is needed"));
        Self { kind: DecodeErrorKind::WrongType, ..error }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("a value where {expected} is needed"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("not one of {}", or_ticked(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            kind: DecodeErrorKind::UnknownField { field: field.to_owned(), expected },
            ..Self::custom(format_args!("unknown key `{field}`"))
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: DecodeErrorKind::MissingField, ..Self::custom(format_args!("`{field}` is missing")) }
    }
}

fn or_ticked(names: &[&str]) -> String {
    let ticked: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match ticked.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Decodes a node into options.
///
/// # Errors
///
/// The first mistake, with its place.
pub fn decode<T: DeserializeOwned>(node: &Node, expand: &dyn Expand) -> Result<T, DecodeError> {
    T::deserialize(NodeDeserializer { node, expand }).map_err(|error| error.located(node.span))
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
    expand: &'a dyn Expand,
}

impl NodeDeserializer<'_> {
    fn scalar(&self, needed: &dyn de::Expected) -> Result<String, DecodeError> {
        match self.node.text() {
            Some(text) => self.expand.text(text, self.node.span),
            None => Err(DecodeError::wrong_type(self.node, &needed.to_string())),
        }
    }

    fn number<T: std::str::FromStr>(&self, needed: &dyn de::Expected) -> Result<T, DecodeError> {
        let text = self.scalar(needed)?;
        text.parse().map_err(|_| DecodeError::wrong_type(self.node, &needed.to_string()))
    }
}

macro_rules! deserialize_number {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number = self.number(&visitor)?;
            visitor.$visit(number).map_err(|error: DecodeError| error.located(self.node.span))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::Null => {
                Err(DecodeError::wrong_type(self.node, &format!("{}", &visitor as &dyn de::Expected))
                    .help("give it a value, or take the key out"))
            }
            NodeKind::List(_) => self.deserialize_seq(visitor),
            NodeKind::Map(_) => self.deserialize_map(visitor),
            NodeKind::Scalar(scalar) if scalar.plain && scalar.text == "true" => visitor.visit_bool(true),
            NodeKind::Scalar(scalar) if scalar.plain && scalar.text == "false" => visitor.visit_bool(false),
            NodeKind::Scalar(_) => self.deserialize_str(visitor),
        }
        .map_err(|error: DecodeError| error.located(self.node.span))
    }

    deserialize_number! {
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_f32 visit_f32 deserialize_f64 visit_f64 deserialize_bool visit_bool
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let text = self.scalar(&visitor)?;
        visitor.visit_string(text).map_err(|error: DecodeError| error.located(self.node.span))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        // A null is a value that was forgotten more often than one that was meant.
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match name {
            CREDENTIAL => visitor.visit_bytes(self.expand.credential(self.node)?.expose()),
            LITERAL => match self.node.text() {
                Some(text) => visitor.visit_str(text),
                None => Err(DecodeError::wrong_type(self.node, "text")),
            },
            _ => visitor.visit_newtype_struct(self),
        }
        .map_err(|error: DecodeError| error.located(self.node.span))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::List(items) => visitor
                .visit_seq(Items { items: items.iter(), expand: self.expand })
                .map_err(|error| error.located(self.node.span)),
            _ => Err(DecodeError::wrong_type(self.node, "a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::Map(entries) => visitor
                .visit_map(Entries { entries: entries.iter(), value: None, expand: self.expand })
                .map_err(|error| self.locate_field(error)),
            _ => Err(DecodeError::wrong_type(self.node, "a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let text = self.scalar(&visitor)?;
        visitor.visit_enum(UnitVariant(text)).map_err(|error| error.located(self.node.span))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

impl NodeDeserializer<'_> {
    /// Moves an error about an unknown key from the mapping to the key.
    fn locate_field(&self, error: DecodeError) -> DecodeError {
        if let (None, DecodeErrorKind::UnknownField { field, .. }) = (error.span, &error.kind)
            && let Some((key, _)) = self.node.entries().iter().find(|(key, _)| key.name == *field)
        {
            let span = key.span;
            return error.located(span);
        }
        error.located(self.node.span)
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    expand: &'a dyn Expand,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        self.items
            .next()
            .map(|node| seed.deserialize(NodeDeserializer { node, expand: self.expand }))
            .transpose()
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (super::Key, Node)>,
    value: Option<&'a Node>,
    expand: &'a dyn Expand,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some(node);
        seed.deserialize(key.name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        match self.value.take() {
            Some(node) => seed.deserialize(NodeDeserializer { node, expand: self.expand }),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

struct UnitVariant(String);

impl<'de> EnumAccess<'de> for UnitVariant {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = self.0.as_str().into_deserializer();
        let value = seed.deserialize::<de::value::StrDeserializer<'_, DecodeError>>(name)?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for UnitVariant {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, DecodeError> {
        Err(de::Error::custom("a word where a mapping is needed"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("a word where a list is needed"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("a word where a mapping is needed"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::{Credential, Key, Scalar};
    use super::*;

    fn scalar(text: &str, start: usize) -> Node {
        let span = Span { start, len: text.len() };
        Node { span, kind: NodeKind::Scalar(Scalar { text: text.to_owned(), plain: true }) }
    }

    fn map(entries: Vec<(&str, usize, Node)>) -> Node {
        let entries = entries
            .into_iter()
            .map(|(name, start, node)| {
                (Key { name: name.to_owned(), span: Span { start, len: name.len() } }, node)
            })
            .collect();
        Node { span: Span { start: 0, len: 100 }, kind: NodeKind::Map(entries) }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Options {
        host: String,
        port: Option<u16>,
        token: Option<Credential>,
    }

    #[test]
    fn an_unknown_key_is_reported_at_the_key() {
        let node = map(vec![("host", 0, scalar("h", 6)), ("prot", 10, scalar("1", 16))]);
        let error = decode::<Options>(&node, &NoExpansion).unwrap_err();
        assert_eq!(error.message, "unknown key `prot`");
        assert_eq!(error.span, Some(Span { start: 10, len: 4 }));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_reported_at_the_value_without_quoting_it() {
        let node = map(vec![("host", 0, scalar("h", 6)), ("port", 10, scalar("hunter2", 16))]);
        let error = decode::<Options>(&node, &NoExpansion).unwrap_err();
        assert_eq!(error.span, Some(Span { start: 16, len: 7 }));
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }

    #[test]
    fn a_number_where_text_is_needed_is_the_text_in_the_file() {
        let node = map(vec![("host", 0, scalar("0755", 6)), ("token", 10, scalar("1e3", 16))]);
        let options: Options = decode(&node, &NoExpansion).unwrap();
        assert_eq!(options.host, "0755");
        assert_eq!(options.port, None);
        assert_eq!(options.token.unwrap().value().expose(), b"1e3");
    }

    #[test]
    fn null_is_an_error_where_a_value_is_needed() {
        let null = Node { span: Span { start: 6, len: 0 }, kind: NodeKind::Null };
        let node = map(vec![("host", 0, null)]);
        assert!(decode::<Options>(&node, &NoExpansion).unwrap_err().message.starts_with("null where"));
    }
}
