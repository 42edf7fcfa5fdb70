# What is planned is what is used: the peak of the process is within 5 % of `in all`, and 2 MB (small pictures leave pages
# of the buffers untouched, and libraries differ in size).
. "$TESTS/programs/cli/functions.sh"
if grep -q -e __asan_init -e __tsan_init "$BUILD_DIR/restormer-cli"; then
  cat "$TESTS/programs/engine/memory.expected" # sanitizers take memory of their own: nothing can be measured
  exit
fi
"$make_model" --dim 16 --blocks 1,1,1 --heads 1,1,2 narrow.json
"$make_model" --dim 48 --blocks 1,1 --heads 1,2 --refinement 0 wide.json
"$make_model" --dim 24 --blocks 1 --heads 1 --refinement 0 flat.json
"$make_model" --full --dtype f16 full.json
"$make_model" --dim 8 --blocks 1,1 --heads 1,2 --refinement 0 --dual-pixel dual.json
"$make_model" --dim 24 --blocks 1,1,1 --heads 1,1,2 --prompts prompts.json
photo=$DATA/$(cd "$DATA" && ls *.png | head -n 1)
cp "$pictures/pixel.png" pixel.png
{ echo P6 800 500 255; head -c 1200000 /dev/zero; } >black.ppm
cp black.ppm right.ppm

# measure MODEL PICTURE OPTIONS...
measure() {
  model=$1 picture=$2
  shift 2
  restormer-cli -v -w "$model.json" "$@" "$picture" out.png 2>&1 >/dev/null | awk -v what="$model $*" '
    / in all$/ { planned = $(NF - 3) }
    /^peak memory / { used = $3 }
    END {
      off = used - planned
      near = planned > 0 && used > 0 && off < 0.05 * planned + 2 && -off < 0.05 * planned + 2
      print what ": " (near ? "as planned" : used " MB used, " planned " MB planned")
    }'
}

for precision in float32 bf16 int8; do
  for threads in 1 2 8; do
    measure narrow "$photo" -t $threads --precision $precision
  done
  measure wide "$photo" -t 2 --precision $precision
  measure flat "$photo" -t 2 --precision $precision
  measure full pixel.png -t 2 --precision $precision
  measure prompts "$photo" -t 2 --precision $precision
done
measure wide "$photo" -t 2 --tile 128 --overlap 32
measure wide "$photo" -t 2 --max-memory 24M
measure dual black.ppm -t 2 --right right.ppm

echo '--- info plans the same'
size=$(restormer-compare --json "$photo" "$photo" | sed 's/.*"width": \([0-9]*\), "height": \([0-9]*\).*/\1x\2/')
restormer-cli -v -w wide.json -t 2 "$photo" out.png 2>&1 >/dev/null | sed -n 's/^plan: .*, \(.*\) MB in all$/\1/p' >run
restormer-weights info wide.json -t 2 --size "$size" | sed -n 's/^memory *float32 \(.*\) MB: .*/\1/p' >info
[ -s run ] && cmp run info && echo 'the same'
