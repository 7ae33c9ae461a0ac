//! `dsops.yaml`: text → span tree → what the file means.

mod agents;
mod credential_file;
mod environments;
mod error;
mod expand;
mod files;
mod helpers;
mod imports;
mod load;
mod model;
mod policies;
mod redact;
mod schema;
mod shape;
mod stores;
pub mod yaml;

pub use agents::{Agent, Allowed};
pub use error::{Code, ConfigError, Label, Report, Source, Warning};
pub(crate) use expand::PlanExpander;
pub use expand::{Expander, OpenText, variables_in};
pub(crate) use files::UNFINISHED;
pub use helpers::{AwsKeys, Helpers, KubeUser, Login};
pub use load::{FILE_NAME, discover, load, load_text, variable_of_reference};
pub use model::{
    BreakerSettings, Config, Environment, FileOptions, Import, Origin, ReferenceAt, Store, StoreCredential,
    Variable,
};
pub use policies::{Policies, Rules};
pub use redact::{Redacted, redact};
pub use schema::schema;
pub use stores::parse_duration;
