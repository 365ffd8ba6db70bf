//! The files that are generated from the contract are what `tritforge gen` would write.

mod support;

#[test]
fn generated_files_are_what_the_contract_gives() {
    let checked = support::program::tritforge().args(["gen", "--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &support::program::stderr(&checked);
    assert!(checked.status.success(), "{said}");
}
