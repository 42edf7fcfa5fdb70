# Without --max-memory a run keeps within what its control group leaves, and counts everything once: the published model
# takes 144 MB for 256 x 256, which have to fit into 220 free ones (an eighth stays free), and become tiles in 150.
. "$TESTS/programs/cli/functions.sh"
if grep -q -e __asan_init -e __tsan_init "$BUILD_DIR/restormer-cli"; then
  echo 'sanitizers take memory of their own'
  exit 77
fi
for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
  group=$root/restormer-test.$$
  [ -f "$root/cgroup.procs" ] && mkdir "$group" 2>/dev/null && break
  group=
done
[ -n "$group" ] || { echo 'no control group may be made here'; exit 77; }
trap 'rmdir "$group/inner" "$group"' EXIT
mkdir "$group/inner"
for limit in "$group/memory.limit_in_bytes" "$group/memory.max"; do
  [ -f "$limit" ] && break
done
echo 230686720 2>/dev/null >"$limit" || { echo 'no memory controller here'; exit 77; }
"$make_model" --full model.json
{ printf 'P6\n256 256\n255\n' && head -c 196608 /dev/zero; } >in.ppm

# In a group below the one that has the limit.
inside() {
  sh -c 'echo $$ >"$0" && exec "$@"' "$group/inner/cgroup.procs" "$@"
}
inside restormer-cli -v -w model.json --precision float32 in.ppm out.png 2>&1 >/dev/null | sed -n 's/^plan: \([0-9]* tiles*\),.*/\1/p'
echo '--- less'
echo 157286400 >"$limit"
inside restormer-cli --progress none -w model.json in.ppm out.png 2>&1 | sed 's/ [0-9.]* MB; .*/ N MB/'
