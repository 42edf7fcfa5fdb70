# restormer-weights verify finds what a user's files suffer: damage, truncation, loss, other files.
. "$TESTS/programs/functions.sh"

"$BUILD_DIR/tests/tools/make-model" --blocks 1 --dim 2 w.json
try restormer-weights verify w.json
try restormer-weights verify "$PWD/w.json" | sed "s|$PWD|PWD|"

echo '== one bit of the last value'
cp w.safetensors sound
printf '\377' | dd of=w.safetensors bs=1 seek=$(($(wc -c <sound) - 4)) conv=notrunc 2>/dev/null
try restormer-weights verify w.json 2>&1 | sed 's/[0-9a-f]\{64\}/HASH/g'
echo '== cut short'
head -c 1000 sound >w.safetensors
try restormer-weights verify w.json 2>&1 | sed 's/expected [0-9]*/expected SIZE/'
echo '== lost'
rm w.safetensors
try restormer-weights verify w.json
echo '== a folder'
mkdir w.safetensors
try restormer-weights verify w.json
rmdir w.safetensors
echo '== back'
cp sound w.safetensors
try restormer-weights verify w.json
echo '== no manifest'
try restormer-weights verify w.safetensors
try restormer-weights verify ./missing.json
try restormer-weights verify .
echo '{"format": "restormer-weights", "version": 2}' >new.json
try restormer-weights verify new.json
