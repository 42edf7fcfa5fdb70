# make quality: noise and JPEG are the same everywhere and as strong as they should be, results are clamped and rounded
# as the papers do (a model that changes nothing gives nearly the noisy picture's PSNR), and limits not met are told.
. "$TESTS/programs/cli/functions.sh"
quality=$BUILD_DIR/quality/quality
mkdir clean out
cp "$DATA/cat.png" "$DATA/coffee.png" clean
echo 'no picture' >clean/README

try "$quality" --weights "$identity" clean out
cut -d, -f1-4 out/pictures.csv | grep -v 'bf16\|int8'
file() { restormer-compare --json "$1" "$1" | grep -o '"width.*"channels": [0-9]*'; }
file out/sheet.png
ls out

echo '--- part of it'
try "$quality" --weights "$identity" --limit 1 --sigmas 30 --jpeg none --float32-only clean out
cat out/pictures.csv

echo '--- pictures that come in pairs'
mkdir -p pairs/noisy pairs/clean
cp "$DATA/cat.png" pairs/clean
cp "$DATA/cat-noise25.png" pairs/noisy/cat.png
try "$quality" --weights "$identity" --pairs --float32-only pairs out
cat out/pictures.csv

echo '--- a model that darkens harms clean pictures'
sed 's/"residual": true/"residual": false/' "$identity" >black.json
try "$quality" --weights black.json --sigmas 0 --jpeg none --float32-only clean out

echo '--- what cannot be done'
try "$quality" --weights ./missing.json clean out
try "$quality" --sigmas 5,x clean out
try "$quality" --jpeg 0 clean out
try "$quality" --pairs clean out
rm pairs/noisy/cat.png
try "$quality" --pairs pairs out
try "$quality" --limit 0 clean out
try "$quality" --cli ./missing clean out
try "$quality" clean missing
try "$quality" out/missing out
mkdir empty
try "$quality" empty out
try "$quality" clean 2>&1 | sed -n '1p;$p'
