# Help and version go to standard output.
. "$TESTS/programs/functions.sh"

try restormer-compare --help 2>/dev/null
try restormer-compare -V 2>/dev/null
restormer-compare -h | cmp - "$(restormer-compare --help >help && echo help)" && echo 'the same'
restormer-compare --version a b c --what | cut -d' ' -f1
