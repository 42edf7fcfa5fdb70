# restormer-weights info: the example of weights/README.md and a model with everything in it.
. "$TESTS/programs/functions.sh"

awk '/^```json$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$TESTS/../weights/README.md" >readme.json
try restormer-weights info readme.json
try restormer-weights info readme.json --size=10x20 --json

"$BUILD_DIR/tests/tools/make-model" --dim 4 --blocks 1,2,3 --heads 1,2,4 --attention mdta,none,mdta --bias --dual-pixel \
  --norm BiasFree --dtype bf16 model.json
try restormer-weights info model.json
try restormer-weights info --json model.json

"$BUILD_DIR/tests/tools/make-model" --full full.json
try restormer-weights info full.json
