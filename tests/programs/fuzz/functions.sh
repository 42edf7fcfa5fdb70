# What the fuzzing tests share. A longer run: make check FUZZ_ROUNDS=100000 FUZZ_SEED=7 TEST=fuzz/
. "$TESTS/programs/functions.sh"
fuzz() {
  "$BUILD_DIR/tests/tools/fuzz" --rounds "${FUZZ_ROUNDS:-$rounds}" --seed "${FUZZ_SEED:-1}" "$@"
}
