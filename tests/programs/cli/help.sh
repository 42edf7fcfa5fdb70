# Help and version go to stdout, with status 0, whatever else is said.
. "$TESTS/programs/cli/functions.sh"

try restormer-cli --help
restormer-cli -h in.png out.png 2>/dev/null | cmp - - && restormer-cli -h in.png | head -n 1
try restormer-cli --version
echo '--- with -v: the instruction sets of this machine, the portable one at least'
restormer-cli -V -v | sed 's/\(.*:\) .*baseline.*/\1 baseline and others/; s/^used: .*/used: the best/; s/decoded in .*/decoded there/'
restormer-cli --version >/dev/full
echo "exit $?"
