# Tiles: where attention is left out, nothing is global, and tiles that overlap beyond the reach of the convolutions
# give the whole picture's result but for rounding.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --attention none --blocks 1,1 --heads 1,1 --dim 16 local.json
"$make_model" --dim 16 --blocks 1,1,1 --heads 1,1,2 global.json
photo=$DATA/$(cd "$DATA" && ls *.png | head -n 1)

restormer-cli -q -w local.json "$photo" whole.pfm
for tile in 96 128; do
  restormer-cli -q -w local.json --tile $tile --overlap 72 "$photo" tiles.pfm
  restormer-compare whole.pfm tiles.pfm --max-diff 0.000001 >/dev/null && echo "$tile: the same"
done
echo '--- without enough overlap they do differ'
restormer-cli -q -w local.json --tile 96 --overlap 0 "$photo" tiles.pfm
restormer-compare whole.pfm tiles.pfm --max-diff 0.000001 >/dev/null 2>&1 || echo 'not the same'

echo '--- a memory limit makes tiles, says so, and keeps the limit'
restormer-cli -v -w global.json --max-memory 9M "$photo" small.png 2>&1 >/dev/null |
  sed -n 's/^.*: the whole picture does not fit into 9 MB; .*/does not fit/p'
restormer-cli -v -w global.json "$photo" whole.png 2>&1 >/dev/null | grep -c 'does not fit' || true
