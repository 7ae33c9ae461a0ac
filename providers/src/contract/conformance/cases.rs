//! What the suite claims, one function a case.

use std::error::Error;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::{CANARY, Case, Inapplicable, Scene, Seed, Subject};
use crate::contract::{
    Context, Descriptor, FetchError, FetchErrorKind, Finding, Locator, NoExpansion, Provider, SecretValue,
    Status,
};

/// Long enough for any case but the slow one.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// What a store gets that takes longer than it.
const HASTE: Duration = Duration::from_millis(300);
/// What ending an overdue batch may take on a busy machine.
const GRACE: Duration = Duration::from_secs(10);

/// Why a case ended without passing.
pub(super) enum End {
    LeftOut(&'static str),
    Failed(String),
}

impl From<Inapplicable> for End {
    fn from(reason: Inapplicable) -> Self {
        Self::LeftOut(reason.0)
    }
}

impl From<String> for End {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// Runs one case.
pub(super) async fn run(subject: &dyn Subject, case: Case) -> Result<(), End> {
    if let Some(reason) = subject.leaves_out(case) {
        return Err(End::LeftOut(reason));
    }
    match case {
        Case::Present => exact(subject, &[seed("PRESENT", 1)]).await,
        Case::Absent => absent(subject).await,
        Case::Empty => exact(subject, &[Seed { path: "EMPTY".to_owned(), value: Vec::new() }]).await,
        Case::WhiteSpace => white_space(subject).await,
        Case::WrongVersion => wrong_version(subject).await,
        Case::TwoHundred => exact(subject, &two_hundred(subject)).await,
        Case::Duplicates => duplicates(subject).await,
        Case::NothingAsked => nothing_asked(subject).await,
        Case::Cost => cost(subject).await,
        Case::Listed => listed(subject).await,
        Case::Written => written(subject).await,
        Case::Checked => checked(subject).await,
        Case::ExpiredCredentials => expired_credentials(subject).await,
        Case::Slow => slow(subject).await,
        Case::Garbage => garbage(subject).await,
    }
}

/// A store that has been opened, and what it works with.
struct Opened {
    provider: Box<dyn Provider>,
    cx: Context,
    scene: Scene,
    descriptor: Descriptor,
}

type Answered = Result<SecretValue, FetchError>;

impl Opened {
    fn from(subject: &dyn Subject, scene: Scene, timeout: Duration) -> Result<Self, String> {
        let descriptor = subject.descriptor();
        let provider = scene.open(&descriptor).map_err(|error| format!("it cannot be opened: {error}"))?;
        silent("the options", &scene.options)?;
        let cx = scene.context.for_store("suite", Some(timeout));
        Ok(Self { provider, cx, scene, descriptor })
    }

    async fn holding(subject: &dyn Subject, seeds: &[Seed]) -> Result<Self, String> {
        Self::from(subject, subject.holding(seeds).await, PATIENCE)
    }

    /// Asks, and checks what holds for any answer: the number, acceptance, silence.
    async fn ask(&self, locators: &[Locator]) -> Result<Vec<Answered>, String> {
        let accepted = (self.descriptor.accept)(&self.scene.options, &NoExpansion, locators)
            .map_err(|error| format!("the options do not decode: {error}"))?;
        for (locator, accepted) in locators.iter().zip(accepted) {
            accepted.map_err(|error| format!("`{locator}` is not accepted: {error}"))?;
        }
        let answers = self.provider.fetch(&self.cx, locators).await;
        silent("the answers", &answers)?;
        let answers = answers.into_vec();
        if answers.len() != locators.len() {
            return Err(format!("{} answers to {} locators", answers.len(), locators.len()));
        }
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            silent_error(error)?;
        }
        Ok(answers)
    }
}

fn seed(path: &str, number: usize) -> Seed {
    Seed { path: path.to_owned(), value: format!("{CANARY}-{number}").into_bytes() }
}

fn locators_of(seeds: &[Seed]) -> Vec<Locator> {
    seeds.iter().map(|seed| Locator::new(&seed.path)).collect()
}

/// Two hundred secrets, half of them in the folder where there are folders.
fn two_hundred(subject: &dyn Subject) -> Vec<Seed> {
    (0..200)
        .map(|number| match subject.folder() {
            Some(folder) if number % 2 == 1 => seed(&format!("{folder}/KEY_{number:03}"), number),
            _ => seed(&format!("KEY_{number:03}"), number),
        })
        .collect()
}

/// Every seeded value comes back to the byte, in the order asked.
async fn exact(subject: &dyn Subject, seeds: &[Seed]) -> Result<(), End> {
    let opened = Opened::holding(subject, seeds).await?;
    for (seed, answer) in seeds.iter().zip(opened.ask(&locators_of(seeds)).await?) {
        same_value(seed, &answer)?;
    }
    Ok(())
}

/// Newlines of both kinds, tabs, quotes and white space at both ends are part of a value.
async fn white_space(subject: &dyn Subject) -> Result<(), End> {
    let values = [
        format!(" {CANARY} "),
        format!("\n{CANARY}\nsecond line\n\n"),
        format!("\t{CANARY}\r\nsecond line\r\n"),
        format!("{CANARY} # 'no' \"comment\" `or` $quote \\n ${{HOME}}"),
    ];
    let seeds: Vec<Seed> = values
        .into_iter()
        .enumerate()
        .map(|(number, value)| Seed { path: format!("SPACE_{number}"), value: value.into_bytes() })
        .collect();
    exact(subject, &seeds).await
}

/// What is not there is `NotFound`, names the secret, and spoils no other answer.
async fn absent(subject: &dyn Subject) -> Result<(), End> {
    let seeds = [seed("FIRST", 1), seed("LAST", 2)];
    let opened = Opened::holding(subject, &seeds).await?;
    let mut asked = vec![Locator::new("FIRST"), Locator::new("ABSENT"), Locator::new("LAST")];
    if let Some(folder) = subject.folder() {
        // The same name elsewhere is another secret, and a folder that is not there holds none.
        asked.push(Locator::new(format!("{folder}/FIRST")));
    }
    let answers = opened.ask(&asked).await?;
    for (locator, answer) in asked.iter().zip(&answers) {
        match seeds.iter().find(|seed| seed.path == locator.path) {
            Some(seed) => same_value(seed, answer)?,
            None => {
                let error = failed_with(answer, &[FetchErrorKind::NotFound])?;
                if !error.message().contains(locator.name()) {
                    return Err(format!("the message does not name `{locator}`: {error}").into());
                }
            }
        }
    }
    Ok(())
}

/// A version that is not there is `VersionNotFound`, never another version's value.
async fn wrong_version(subject: &dyn Subject) -> Result<(), End> {
    if !subject.descriptor().about.parts.versions {
        return Err(End::LeftOut("the store has no versions"));
    }
    let opened = Opened::holding(subject, &[seed("PINNED", 1)]).await?;
    let asked = [Locator::new("PINNED").at_version(subject.wrong_version()), Locator::new("PINNED")];
    let answers = opened.ask(&asked).await?;
    let [pinned, latest] = answers.as_slice() else { return Err("not two answers".to_owned().into()) };
    failed_with(pinned, &[FetchErrorKind::VersionNotFound])?;
    same_value(&seed("PINNED", 1), latest)?;
    Ok(())
}

/// The same locator twice gets the same answer twice, be it a value or an absence.
async fn duplicates(subject: &dyn Subject) -> Result<(), End> {
    let seeds = [seed("TWICE", 1), seed("ONCE", 2)];
    let opened = Opened::holding(subject, &seeds).await?;
    let asked = ["TWICE", "ABSENT", "ONCE", "TWICE", "ABSENT"].map(Locator::new);
    for (locator, answer) in asked.iter().zip(opened.ask(&asked).await?) {
        match seeds.iter().find(|seed| seed.path == locator.path) {
            Some(seed) => same_value(seed, &answer)?,
            None => drop(failed_with(&answer, &[FetchErrorKind::NotFound])?),
        }
    }
    Ok(())
}

/// An empty batch costs nothing.
async fn nothing_asked(subject: &dyn Subject) -> Result<(), End> {
    let opened = Opened::holding(subject, &[]).await?;
    let before = spent(&opened.cx);
    opened.ask(&[]).await?;
    match spent(&opened.cx) == before {
        true => Ok(()),
        false => Err("an empty batch costs something".to_owned().into()),
    }
}

/// What `plan` promises is what the run makes.
async fn cost(subject: &dyn Subject) -> Result<(), End> {
    let seeds = two_hundred(subject);
    let opened = Opened::holding(subject, &seeds).await?;
    let asked = locators_of(&seeds);
    let promised = (opened.descriptor.cost)(&opened.scene.options, &NoExpansion, &asked, &[])
        .map_err(|error| format!("the options do not decode: {error}"))?;
    let before = spent(&opened.cx);
    opened.ask(&asked).await?;
    let after = spent(&opened.cx);
    let made = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    let promised = (promised.requests + promised.logins, promised.logins, promised.processes);
    if made != promised {
        return Err(format!(
            "promised (requests with logins, logins, processes) {promised:?} and made {made:?}"
        )
        .into());
    }
    Ok(())
}

/// The requests, logins and processes so far.
fn spent(cx: &Context) -> (usize, usize, usize) {
    (cx.meter().requests(), cx.meter().logins(), cx.meter().processes())
}

/// A folder lists what lies directly in it, sorted, with the values.
async fn listed(subject: &dyn Subject) -> Result<(), End> {
    let mut seeds = vec![seed("B", 1), seed("A", 2)];
    let folders: Vec<&str> = std::iter::once("").chain(subject.folder()).collect();
    if let Some(folder) = subject.folder() {
        seeds.extend([seed(&format!("{folder}/D"), 3), seed(&format!("{folder}/C"), 4)]);
    }
    let opened = Opened::holding(subject, &seeds).await?;
    let Some(lister) = opened.provider.lister() else {
        return Err(End::LeftOut("the store cannot list"));
    };
    for folder in folders {
        let entries = lister.list(&opened.cx, folder).await.map_err(|error| told(&error))?;
        silent("the entries", &entries)?;
        let mut expected: Vec<(Locator, &Seed)> = seeds
            .iter()
            .map(|seed| (Locator::new(&seed.path), seed))
            .filter(|(locator, _)| locator.folder() == folder)
            .collect();
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        if names != expected.iter().map(|(locator, _)| locator.name()).collect::<Vec<_>>() {
            return Err(format!("`{folder}` lists {names:?}").into());
        }
        for (entry, (_, seed)) in entries.iter().zip(expected) {
            same_value(seed, &entry.value)?;
        }
    }
    let nowhere = lister.list(&opened.cx, "no/such/folder").await;
    failed_with(&nowhere.map(|_| SecretValue::from("")), &[FetchErrorKind::NotFound])?;
    Ok(())
}

/// What is put is what is fetched; what is deleted is absent.
async fn written(subject: &dyn Subject) -> Result<(), End> {
    let opened = Opened::holding(subject, &[seed("OLD", 1)]).await?;
    let Some(writer) = opened.provider.writer() else {
        return Err(End::LeftOut("the store cannot be written to"));
    };
    for seed in [seed("OLD", 2), seed("NEW", 3), Seed { path: "EMPTY".to_owned(), value: Vec::new() }] {
        let locator = Locator::new(&seed.path);
        let value = SecretValue::copy_of(&seed.value);
        writer.put(&opened.cx, &locator, value).await.map_err(|error| told(&error))?;
        for answer in opened.ask(&[locator]).await? {
            same_value(&seed, &answer)?;
        }
    }
    let old = Locator::new("OLD");
    writer.delete(&opened.cx, &old).await.map_err(|error| told(&error))?;
    for answer in opened.ask(std::slice::from_ref(&old)).await? {
        failed_with(&answer, &[FetchErrorKind::NotFound])?;
    }
    let again = writer.delete(&opened.cx, &old).await;
    failed_with(&again.map(|()| SecretValue::from("")), &[FetchErrorKind::NotFound])?;
    Ok(())
}

/// A healthy store has findings, and none of them is a failure.
async fn checked(subject: &dyn Subject) -> Result<(), End> {
    let opened = Opened::holding(subject, &[seed("KEY", 1)]).await?;
    let findings = findings(&opened).await?;
    match findings.iter().find(|finding| finding.status != Status::Ok) {
        Some(finding) => Err(format!("a healthy store has the finding {finding:?}").into()),
        None if findings.is_empty() => Err("a check finds nothing".to_owned().into()),
        None => Ok(()),
    }
}

async fn findings(opened: &Opened) -> Result<Vec<Finding>, String> {
    let findings = opened.provider.check(&opened.cx).await;
    silent("the findings", &findings)?;
    Ok(findings)
}

/// Expired credentials are `Unauthenticated` for every locator, are not worth asking again, and are tried once.
async fn expired_credentials(subject: &dyn Subject) -> Result<(), End> {
    let seeds = two_hundred(subject);
    let opened = Opened::from(subject, subject.expired(&seeds).await?, PATIENCE)?;
    for answer in opened.ask(&locators_of(&seeds)).await? {
        let error = failed_with(&answer, &[FetchErrorKind::Unauthenticated])?;
        if error.is_temporary() {
            return Err(format!("asking again is said to help: {error}").into());
        }
    }
    if opened.cx.meter().logins() > 1 {
        return Err(format!("{} logins with refused credentials", opened.cx.meter().logins()).into());
    }
    if findings(&opened).await?.iter().all(|finding| finding.status != Status::Failed) {
        return Err("the check does not see it".to_owned().into());
    }
    Ok(())
}

/// A store that does not answer is `TimedOut` when its time is up, and not much later.
async fn slow(subject: &dyn Subject) -> Result<(), End> {
    let seeds = [seed("FIRST", 1), seed("SECOND", 2)];
    let scene = subject.slow(&seeds).await?;
    let start = Instant::now();
    let opened = Opened::from(subject, scene, HASTE)?;
    for answer in opened.ask(&locators_of(&seeds)).await? {
        failed_with(&answer, &[FetchErrorKind::TimedOut])?;
    }
    match start.elapsed() {
        took if took > HASTE + GRACE => Err(format!("it took {took:?} of {HASTE:?}").into()),
        _ => Ok(()),
    }
}

/// Garbage is `Malformed` (`Damaged` where the store is a file), whether a secret or its absence was hoped for.
async fn garbage(subject: &dyn Subject) -> Result<(), End> {
    for (name, scene) in subject.garbage().await? {
        let told = |message: String| End::Failed(format!("{name}: {message}"));
        let opened = Opened::from(subject, scene, PATIENCE).map_err(told)?;
        for answer in opened.ask(&["FIRST", "SECOND"].map(Locator::new)).await.map_err(told)? {
            failed_with(&answer, &[FetchErrorKind::Malformed, FetchErrorKind::Damaged]).map_err(told)?;
        }
        findings(&opened).await.map_err(told)?;
    }
    Ok(())
}

fn same_value(seed: &Seed, answer: &Answered) -> Result<(), String> {
    match answer {
        Ok(value) if value.expose() == seed.value => Ok(()),
        Ok(value) => Err(format!(
            "`{}` came back as {:?}, not {:?}",
            seed.path,
            String::from_utf8_lossy(value.expose()),
            String::from_utf8_lossy(&seed.value)
        )),
        Err(error) => Err(format!("`{}` failed: {}", seed.path, told(error))),
    }
}

fn failed_with<'a>(answer: &'a Answered, kinds: &[FetchErrorKind]) -> Result<&'a FetchError, String> {
    match answer {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => Err(format!("{} where {kinds:?} is due", told(error))),
        Ok(_) => Err(format!("a success where {kinds:?} is due")),
    }
}

/// Returns all that an error says, down to the first cause.
pub(super) fn told(error: &FetchError) -> String {
    let mut text = format!("{:?}: {error} (help: {:?})", error.kind(), error.advice());
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause} [{cause:?}]"));
        source = cause.source();
    }
    text
}

fn silent_error(error: &FetchError) -> Result<(), String> {
    silent("an error", error)?;
    match told(error) {
        text if text.contains(CANARY) => Err(format!("an error shows a value: {text}")),
        _ => Ok(()),
    }
}

fn silent(what: &str, shown: &dyn Debug) -> Result<(), String> {
    match format!("{shown:?}") {
        text if text.contains(CANARY) => Err(format!("{what} show a value: {text}")),
        _ => Ok(()),
    }
}
