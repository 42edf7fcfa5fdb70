# Which weights are used, and weights that cannot be: status 3.
. "$TESTS/programs/cli/functions.sh"
cp "$pictures/rgb.png" in.png
cp "$identity" identity.json

echo '--- named: the option wins over the environment'
try env RESTORMER_WEIGHTS=missing.json restormer-cli -w identity.json in.png out.png
try env RESTORMER_WEIGHTS=identity.json restormer-cli in.png out.png
try env RESTORMER_WEIGHTS=missing.json restormer-cli in.png other.png
try restormer-cli -w missing.json in.png other.png
try restormer-cli -w in.png in.png other.png
try restormer-cli -w . in.png other.png
echo '{"format": "restormer-weights", "version": 2}' >version.json
try restormer-cli -w version.json in.png other.png
grep -v '"dim"' identity.json >dim.json
try restormer-cli -w dim.json in.png other.png
sed 's/1, 0, 0, 0, 0\]/1, 0, 0, 0\]/' identity.json >short.json
try restormer-cli -w short.json in.png other.png

echo '--- shipped: found from any folder, beside the installed program wherever that is'
mkdir -p place/bin place/share/restormer-cli/weights elsewhere
cp "$BUILD_DIR/restormer-cli" place/bin
try place/bin/restormer-cli in.png other.png 2>&1 | sed 's/looked for: .*)/looked for: PLACES)/'
env RESTORMER_WEIGHTS= place/bin/restormer-cli in.png other.png 2>&1 | tr ' ' '\n' | grep -o 'place/bin/.*denoise.json' | head -n 1
cp "$identity" place/share/restormer-cli/weights/denoise.json
try place/bin/restormer-cli in.png other.png
ln -s ../place/bin/restormer-cli elsewhere/tool
(cd elsewhere && try ./tool ../in.png ../another.png && PATH=$PWD:$PATH && try tool ../in.png ../third.png)
rm -r place elsewhere
ls
