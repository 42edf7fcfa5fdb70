# restormer-weights info: the example of weights/README.md and a model with everything in it.
. "$TESTS/programs/functions.sh"

# How much memory it takes to work is a matter of tuning, and that of int8 weights one of the processor; that the plan is
# kept is tested in engine/memory. Hashes of manifests are those of their bytes, which the end of this test looks at.
info() {
  try restormer-weights info "$@" |
    sed -E '/int8/s/[0-9.]+( weights|, "working")/N\1/; /MB: /s/ [0-9.]+ (MB:|to work)/ N \1/g; s/("total"|"working"): [0-9]+/\1: N/g; s/[0-9a-f]{64}/HASH/'
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

"$BUILD_DIR/tests/tools/make-model" --prompts --blocks 1,1,1 --dim 4 --dtype bf16 prompts.json
info prompts.json
info --json prompts.json

test "$(restormer-weights info readme.json | awk '$1 == "sha256" { print $2 }')" = "$(sha256sum readme.json | cut -c 1-64)"
echo "hash: $?"
