//! The command line. One file a command: its `Args` (whose doc comment is its help) and its `run`. A new command is
//! one `mod` line and one line in `commands!`.
//!
//! Exit codes: 0 all that was asked for held, 1 a check failed, 2 wrong use, unusable input or a result that cannot be written,
//! 141 who reads the output closed it.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tritforge_sim::system::RunError;

use crate::CheckFailed;

mod accuracy;
mod arithmetic;
mod bench;
mod convert;
mod demo;
mod diff;
mod emit;
mod generate;
mod inspect;
mod memory;
pub mod output;
mod partial;
mod perplexity;
pub mod progress;
mod run;
mod sim;
mod simulate;
mod stops;
mod synth;
mod synth_model;
mod trace;
mod verify;

/// What a command that ran to its end found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held: exit code 0.
    Held,
    /// A check failed, and the output says which: exit code 1.
    Failed,
}

/// Exit code for wrong use and unusable input (clap uses the same).
const WRONG_USE: u8 = 2;
/// What a shell reports of a program that SIGPIPE ended.
const PIPE_CLOSED: u8 = 141;

/// Takes a trained ternary transformer to hardware.
///
/// A model file (GGUF, safetensors or llama2.c; for the hardware of architecture bitnet-b1.58 or bitnet, with ternary weights) and an accelerator
/// configuration (TOML) go in; a cycle model, the Verilog of the same accelerator, and the proof that the two agree come out.
///
/// Exit codes: 0 all held, 1 a check failed, 2 wrong use, unusable input or a result that cannot be written, 141 whoever reads the output
/// closed it (as `| head` does). Results appear when they are complete. Commands that measure take `--json OUT`, a path or `-` for standard
/// output.
#[derive(Parser)]
#[command(name = "tritforge", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

macro_rules! commands {
    ($($variant:ident => $module:ident,)*) => {
        #[derive(clap::Subcommand)]
        enum Command {
            $($variant($module::Args),)*
        }

        impl Command {
            fn run(self) -> anyhow::Result<Outcome> {
                match self {
                    $(Self::$variant(args) => $module::run(args),)*
                }
            }
        }
    };
}

commands! {
    Inspect => inspect,
    Run => run,
    Accuracy => accuracy,
    Convert => convert,
    SynthModel => synth_model,
    Trace => trace,
    Diff => diff,
    Sim => sim,
    Demo => demo,
    Verify => verify,
    Bench => bench,
    Emit => emit,
    Synth => synth,
    Gen => generate,
}

/// A run that the hardware did not finish as it must counts as a failed check.
fn check_failed(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.is::<CheckFailed>() || cause.downcast_ref().is_some_and(|e: &RunError| !matches!(e, RunError::TooLong { .. })))
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let done = Cli::parse().command.run().and_then(|outcome| {
        io::stdout().flush().context("cannot write to standard output")?;
        Ok(outcome)
    });
    match done {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        // Whoever reads has seen enough, as with `| head`: no error, but no check has held either.
        Err(error) if broken_pipe(&error) => ExitCode::from(PIPE_CLOSED),
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            if check_failed(&error) { ExitCode::FAILURE } else { ExitCode::from(WRONG_USE) }
        }
    }
}
