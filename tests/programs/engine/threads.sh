# Where the system gives fewer threads than were asked for, a run does with them, and the result is the same.
# A process for the decoder is more than such a system gives, and the message says what to do.
. "$TESTS/programs/cli/functions.sh"
if grep -q -e __asan_init -e __tsan_init "$BUILD_DIR/restormer-cli"; then
  echo 'sanitizers need threads of their own'
  exit 77
fi
"$make_model" --dim 8 model.json
restormer-cli -q -t 1 -w model.json "$pictures/rgb.png" one.png

# alone COMMAND: may start no process and no thread
if [ "$(id -u)" -eq 0 ] && command -v prlimit >/dev/null && command -v setpriv >/dev/null; then
  chmod 777 . && chmod a+r ./*
  alone() { try prlimit --nproc=1:1 setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
else
  alone() { try sh -c 'ulimit -u 1 2>/dev/null; exec "$@"' sh "$@"; }
fi
alone restormer-cli --no-sandbox -q -t 4 -w model.json "$pictures/rgb.png" out.png
cmp one.png out.png
echo '--- without a process to decode in'
restormer-cli -V -v | grep -q 'a process without rights' || { echo 'this build has no sandbox'; exit 77; }
cp "$pictures/rgb.png" in.png
cp "$TESTS/data/checkpoints/params.pth" .
alone restormer-cli -q -w model.json in.png out.png
alone restormer-compare in.png out.png
alone restormer-weights convert params.pth -o params.json
cmp one.png out.png
alone restormer-weights convert --no-sandbox params.pth -o params.json
