# What the program tests share: `. "$TESTS/programs/functions.sh"`.

# Runs a command and says with which status it ended.
try() {
  "$@"
  echo "exit $?"
}
