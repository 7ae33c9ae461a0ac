//! Projects, folders, service-token details and status: what is around the secrets.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Answered, not_found};
use super::caller::Caller;
use super::get_one::wrong_kind;
use super::request::Asked;
use super::rows::DATE;
use super::world::{Project, World, id_of};

impl World {
    /// `GET /api/status`
    pub(super) fn status(&self) -> Answered {
        let mut body = json!({
            "date": DATE, "message": "Ok", "emailConfigured": false, "inviteOnlySignup": true, "redisConfigured": true,
            "secretScanningConfigured": false,
        });
        if self.is_2026() {
            body["auditLogStorageDisabled"] = false.into();
            body["maxIdentityAccessTokenTTL"] = 7_776_000.into();
        }
        Ok(Answer::ok(body))
    }

    /// `GET /api/v1/workspace` and `GET /api/v1/projects`: the projects that an identity is in.
    pub(super) fn project_list(&self, caller: &Caller, asked: &Asked, wrapper: &str) -> Answered {
        if let Caller::Service(_) = caller {
            return Err(wrong_kind(asked));
        }
        let mine = self.projects.iter().filter(|project| self.is_member(caller, project));
        let body: Value = mine.map(|project| self.project_body(project, wrapper == "projects")).collect();
        Ok(Answer::ok(json!({wrapper: body})))
    }

    /// `GET /api/v1/workspace/{id}` and `GET /api/v1/projects/{id}`
    pub(super) fn project_by(&self, caller: &Caller, id: &str, wrapper: &str) -> Answered {
        let missing = || not_found(format!("Project with ID '{id}' not found"));
        let project = self.project_by_id(id).ok_or_else(missing)?;
        self.enter(caller, project)?;
        Ok(Answer::ok(json!({wrapper: self.project_body(project, wrapper == "project")})))
    }

    /// `GET /api/v2/workspace/{slug}` and `GET /api/v1/projects/slug/{slug}`: not wrapped.
    pub(super) fn project_by_slug(&self, caller: &Caller, slug: &str, form: SlugForm) -> Answered {
        let missing = || not_found(format!("Project with slug '{slug}' not found"));
        let project = self.projects.iter().find(|project| project.slug == slug).ok_or_else(missing)?;
        self.enter(caller, project)?;
        let mut body = self.project_body(project, form == SlugForm::Project);
        if form == SlugForm::Workspace {
            body["kmsSecretManagerKeyId"] = id_of(&("key", &project.id)).into();
        }
        Ok(Answer::ok(body))
    }

    fn project_body(&self, project: &Project, with_deleted: bool) -> Value {
        let environment = |slug: &String| json!({"name": display_name(slug), "slug": slug, "id": project.environment_id(slug)});
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.into(), value);
        put("id", project.id.as_str().into());
        put("name", display_name(&project.slug).into());
        put("description", Value::Null);
        put("type", "secret-manager".into());
        if self.is_2026() {
            put("defaultProduct", Value::Null);
        }
        put("slug", project.slug.as_str().into());
        put("autoCapitalization", false.into());
        put("orgId", id_of(&"organization").into());
        put("createdAt", DATE.into());
        put("updatedAt", DATE.into());
        put("version", 3.into());
        put("upgradeStatus", Value::Null);
        put("pitVersionLimit", 10.into());
        put("kmsCertificateKeyId", Value::Null);
        put("auditLogsRetentionDays", Value::Null);
        put("hasDeleteProtection", false.into());
        put("secretSharing", true.into());
        put("showSnapshotsLegacy", false.into());
        if self.is_2026() {
            put("secretDetectionIgnoreValues", Value::Null);
            put("enforceEncryptedSecretManagerSecretMetadata", Value::Null);
        }
        put("_id", project.id.as_str().into());
        put("environments", project.environments.iter().map(environment).collect());
        if with_deleted {
            put("deletedEnvironments", json!([]));
        }
        Value::Object(body)
    }

    /// `GET /api/v1/projects/{id}/environments/slug/{slug}`
    pub(super) fn environment_by_slug(&self, caller: &Caller, id: &str, slug: &str) -> Answered {
        let missing = || not_found(format!("Project with ID '{id}' not found"));
        let project = self.project_by_id(id).ok_or_else(missing)?;
        self.enter(caller, project)?;
        let Some(position) = project.environments.iter().position(|known| known == slug) else {
            return Err(not_found(format!("Environment with slug '{slug}' not found")));
        };
        Ok(Answer::ok(json!({"environment": {
            "id": project.environment_id(slug), "name": display_name(slug), "slug": slug, "position": position + 1,
            "projectId": project.id, "createdAt": DATE, "updatedAt": DATE, "deleteAfter": null,
            "softDeletedAt": null, "deletedByUserId": null, "deletedByIdentityId": null,
        }})))
    }

    /// `GET /api/v1/folders` and `GET /api/v2/folders`: an unknown path is an empty list, an unknown environment is not.
    pub(super) fn folders(&self, caller: &Caller, asked: &Asked, id_name: &'static str) -> Answered {
        let recursive = asked.flag("recursive", false)?;
        let missing: Vec<&str> =
            [id_name, "environment"].into_iter().filter(|name| asked.param(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(super::answer::required(&missing));
        }
        let (id, environment) =
            (asked.param(id_name).unwrap_or(""), asked.param("environment").unwrap_or(""));
        let unknown = || {
            not_found(format!(
                "Project with ID '{id}' not found during bot lookup. Are you sure you are using the correct project \
                 ID?"
            ))
        };
        let project = self.project_by_id(id).ok_or_else(unknown)?;
        self.enter(caller, project)?;
        if !project.environments.iter().any(|known| known == environment) {
            return Err(not_found(format!("Environment with slug '{environment}' not found")));
        }
        let path = asked.param("path").unwrap_or("/").trim_end_matches('/');
        let in_environment = project.folders.iter().filter(|(of, folder)| of == environment && folder != "/");
        let mut known: Vec<&String> = in_environment.map(|(_, folder)| folder).collect();
        // Level by level, each by name.
        known.sort_by_key(|folder| {
            (folder.matches('/').count(), folder.rsplit('/').next().unwrap_or_default())
        });
        let mut folders = Vec::new();
        for folder in known {
            let Some((parent, name)) = folder.rsplit_once('/') else {
                continue;
            };
            let below =
                parent.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if parent != path && !(recursive && below) {
                continue;
            }
            let parent = if parent.is_empty() { "/" } else { parent };
            let mut body = json!({
                "id": project.folder_id(environment, folder), "name": name, "version": 1, "createdAt": DATE,
                "updatedAt": DATE, "envId": project.environment_id(environment),
                "parentId": project.folder_id(environment, parent), "isReserved": false, "description": null,
                "lastSecretModified": DATE,
            });
            if recursive {
                let relative = &folder[path.len()..];
                body["relativePath"] = relative.into();
            }
            folders.push(body);
        }
        Ok(Answer::ok(json!({"folders": folders})))
    }

    /// `GET /api/v2/service-token`: holds far more than a client should look at, as the real one does.
    pub(super) fn service_token_details(&self, caller: &Caller, asked: &Asked) -> Answered {
        let Caller::Service(index) = caller else {
            return Err(wrong_kind(asked));
        };
        let token = &self.service_tokens[*index];
        let user = id_of(&"user");
        let scope = |scope: &super::Rule| json!({"secretPath": scope.path, "environment": scope.environment});
        Ok(Answer::ok(json!({
            "id": token.id, "name": token.name, "scopes": token.scopes.iter().map(scope).collect::<Value>(),
            "permissions": token.permissions, "lastUsed": null, "expiresAt": null,
            "secretHash": "$2b$10$not/a/hash/but/nothing/to/show/either", "encryptedKey": "", "iv": "", "tag": "",
            "createdAt": DATE, "updatedAt": DATE, "createdBy": user, "projectId": token.project,
            "expiryNotificationSent": false, "workspace": token.project,
            "user": {
                "authMethods": ["email"], "id": user, "createdAt": DATE, "updatedAt": DATE,
                "devices": [{"ip": "192.0.2.7", "userAgent": "Mozilla/5.0"}], "email": "admin@example.test",
                "firstName": "Admin", "lastName": "User", "mfaMethods": null, "__v": 0, "_id": user,
            },
            "_id": token.id, "__v": 0,
        })))
    }
}

/// Which of the two routes by slug was asked; the old one has a field more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SlugForm {
    Workspace,
    Project,
}

/// Returns the name that the dashboard gives by default, or the slug with capitals.
fn display_name(slug: &str) -> String {
    match slug {
        "dev" => "Development".into(),
        "prod" => "Production".into(),
        _ => slug.split('-').map(capital).collect::<Vec<_>>().join(" "),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
