#!/bin/sh
# The compiler, for RUSTC_WRAPPER: what requests go through tells libFuzzer where they got, as
# cargo-fuzz would have it; hundreds of other crates stay as they are.
case " $* " in
*" --crate-name trialbook_library "* | *" --crate-name trialbook_program "* | *" --crate-name requests "* | *" --crate-name serde_json "*)
    exec "$@" --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
