//! Chat templates: the Jinja text of a model's file and a list of messages in, the prompt's text out.
//!
//! Templates are run as Hugging Face runs them: `trim_blocks`, `lstrip_blocks`, Python's methods of text, `raise_exception`,
//! `strftime_now`, `tojson` without escapes for HTML. A template is a program from outside: it runs with a limit on its
//! steps and on what it builds (`guard.rs`), on a thread of its own with a stack that this limit cannot fill.

mod budget;
mod date;
mod guard;
mod names;
mod operators;
mod print;
mod rewrite;

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::error::{ModelError, Refusal};

/// Longest template that is read, in bytes; the longest published ones have some 20 thousand.
const LONGEST: usize = 1 << 20;
/// Stack of the thread that runs a template, in bytes; only what is used is taken from memory.
const STACK: usize = 256 << 20;
const REMEDY: &str = "give another template, or the prompt as text";

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or what else the template knows.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message of `role` with this text.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A template that parses, with the texts of the special tokens that it may print.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Checks a template; `bos` and `eos` are the texts of the special tokens, empty where there are none.
    ///
    /// # Errors
    /// [`Refusal::Format`]: longer than 1 MiB, no Jinja, or a construct that is not supported, with the line.
    pub fn parse(source: &str, bos: &str, eos: &str) -> Result<Self, ModelError> {
        if source.len() > LONGEST {
            let found = format!("{} bytes", source.len());
            return Err(ModelError::refused(Refusal::Format, "chat template", format!("at most {LONGEST} bytes"), found, REMEDY));
        }
        // The compiler recurses with the template's nesting.
        on_thread(|| guard::check(source).map_err(|error| refused(&error)))?;
        Ok(Self { source: source.into(), bos: bos.into(), eos: eos.into() })
    }

    /// The prompt for `messages`; `add_generation_prompt`: it ends where the assistant's answer begins.
    ///
    /// # Errors
    /// [`Refusal::Format`] with the template's line: it raised an exception, used what is not there, or did more than the
    /// limits allow.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String, ModelError> {
        self.render_at(messages, add_generation_prompt, SystemTime::now())
    }

    /// As [`ChatTemplate::render`] at a given time, which `strftime_now` prints (in UTC).
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn render_at(&self, messages: &[Message], add_generation_prompt: bool, now: SystemTime) -> Result<String, ModelError> {
        let messages = messages.iter().map(|message| minijinja::context! { role => &message.role, content => &message.content });
        let context = minijinja::context! {
            messages => messages.collect::<Vec<_>>(),
            bos_token => &self.bos,
            eos_token => &self.eos,
            add_generation_prompt,
            tools => (),
            documents => (),
        };
        on_thread(|| guard::run(&self.source, context, now).map_err(|error| refused(&error)))
    }
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T, ModelError> + Send) -> Result<T, ModelError> {
    let stopped = |found: &str| Err(ModelError::refused(Refusal::Format, "chat template", "a text", found, REMEDY));
    std::thread::scope(|scope| match std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
        Ok(thread) => thread.join().unwrap_or_else(|_| stopped("a fault of the template engine")),
        Err(cause) => stopped(&format!("no thread to run it on ({cause})")),
    })
}

fn refused(error: &minijinja::Error) -> ModelError {
    let item = error.line().map_or("chat template".into(), |line| format!("chat template, line {line}"));
    let detail = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {}", error.kind(), printable(detail)));
    let expected = match error.kind() {
        minijinja::ErrorKind::SyntaxError => "a Jinja template",
        _ => "a template that accepts these messages within the limits",
    };
    ModelError::refused(Refusal::Format, item, expected, detail, REMEDY)
}

/// A template's own words, cut to a readable length, without control characters.
fn printable(text: &str) -> String {
    text.chars().take(200).map(|character| if character.is_control() { ' ' } else { character }).collect()
}
