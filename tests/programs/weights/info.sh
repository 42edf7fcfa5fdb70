# restormer-weights info: the example of weights/README.md and a model with everything in it.
. "$TESTS/programs/functions.sh"

# How much memory it takes to work is a matter of tuning; that the plan is kept is tested in engine/memory.
info() {
  try restormer-weights info "$@" |
    sed -E '/MB: /s/ [0-9.]+ (MB:|to work)/ N \1/g; s/("total"|"working"): [0-9]+/\1: N/g'
}

awk '/^```json$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$TESTS/../weights/README.md" >readme.json
info readme.json
info readme.json --size=10x20 --threads=1 --json

"$BUILD_DIR/tests/tools/make-model" --dim 4 --blocks 1,2,3 --heads 1,2,4 --attention mdta,none,mdta --bias --dual-pixel \
  --norm BiasFree --dtype bf16 model.json
info model.json
info --json -t 3 model.json

"$BUILD_DIR/tests/tools/make-model" --full full.json
info -t 2 full.json
