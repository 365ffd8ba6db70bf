//! Fuzz target: any text as a chat template. It renders or is refused, within the limits on time and memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tritforge_fuzz::model::chat::{ChatTemplate, Message};

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let Ok(template) = ChatTemplate::parse(source, "<s>", "</s>") else { return };
    let messages = [Message::new("system", "Be brief."), Message::new("user", "Hello <é>"), Message::new("assistant", "")];
    let _ = template.render_at(&messages, true, std::time::UNIX_EPOCH);
});
