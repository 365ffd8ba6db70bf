//! tritforge: a ternary transformer, from its file to hardware.

fn main() -> std::process::ExitCode {
    tritforge::cli::main()
}
