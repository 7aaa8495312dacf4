//! What the type system promises: each file of `forged/` makes one mistake and must not compile.

#[test]
fn forged_proofs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/forged/*.rs");
}
