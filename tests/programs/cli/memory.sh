# A picture that memory does not suffice for: status 6, no output.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --dim 48 --blocks 1 model.json
{ printf 'P5\n3000 3000\n255\n' && head -c 9000000 /dev/zero; } >in.pgm

# Address space is what a sanitizer has its own use for; there, large allocations are made to fail.
if ldd "$BUILD_DIR/restormer-cli" | grep -q 'lib[at]san'; then
  export ASAN_OPTIONS="$ASAN_OPTIONS:max_allocation_size_mb=300"
else
  ulimit -v 500000
fi
restormer-cli -t 1 -w model.json in.pgm out.png 2>&1 | grep -v 'WARNING\|^$\|^ *#'
restormer-cli -t 1 -w model.json in.pgm out.png 2>/dev/null
echo "exit $?"
ls -A
