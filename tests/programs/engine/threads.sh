# Where the system gives fewer threads than were asked for, a run does with them, and the result is the same.
# A process for the decoder is more than such a system gives.
. "$TESTS/programs/cli/functions.sh"
if grep -q -e __asan_init -e __tsan_init "$BUILD_DIR/restormer-cli"; then
  echo 'sanitizers need threads of their own'
  exit 77
fi
"$make_model" --dim 8 model.json
restormer-cli -q -t 1 -w model.json "$pictures/rgb.png" one.png

if [ "$(id -u)" -eq 0 ] && command -v prlimit >/dev/null && command -v setpriv >/dev/null; then
  chmod 777 . && chmod a+r ./*
  try prlimit --nproc=1:1 setpriv --reuid=65534 --regid=65534 --clear-groups \
    restormer-cli --no-sandbox -q -t 4 -w model.json "$pictures/rgb.png" out.png
else
  try sh -c 'ulimit -u 1 2>/dev/null; exec "$@"' sh restormer-cli --no-sandbox -q -t 4 -w model.json "$pictures/rgb.png" out.png
fi
cmp one.png out.png
