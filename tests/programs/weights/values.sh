# Weights that are not finite: `info` describes them, `verify` refuses them.
. "$TESTS/programs/functions.sh"

"$BUILD_DIR/tests/tools/make-model" --blocks 0 --refinement 0 --dim 1 --in 1 --out 1 w.json
# The last value becomes a NaN, and the manifest learns the new hash.
printf '\000\000\300\177' | dd of=w.safetensors bs=1 seek=$(($(wc -c <w.safetensors) - 4)) conv=notrunc 2>/dev/null
hash=$(sha256sum w.safetensors | cut -d ' ' -f 1)
sed "/\"sha256\"/s/[0-9a-f]\{64\}/$hash/" w.json >v.json
restormer-weights info v.json >info.txt
echo "exit $?"
try restormer-weights verify v.json
