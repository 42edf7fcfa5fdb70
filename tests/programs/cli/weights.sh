# Which weights are used, and weights that cannot be: status 3.
. "$TESTS/programs/cli/functions.sh"
cp "$pictures/rgb.png" in.png
cp "$identity" identity.json

echo '--- named: the option wins over the environment'
try env RESTORMER_WEIGHTS=missing.json restormer-cli -w identity.json in.png out.png
try env RESTORMER_WEIGHTS=identity.json restormer-cli in.png out.png
try env RESTORMER_WEIGHTS=./missing.json restormer-cli in.png other.png
try restormer-cli -w missing.json in.png other.png 2>&1 | sed 's/looked for in: .*)/looked for in: PLACES)/'
try restormer-cli -w ./missing.json in.png other.png
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
try place/bin/restormer-cli in.png other.png 2>&1 | sed 's/looked for in: .*)/looked for in: PLACES)/'
env RESTORMER_WEIGHTS= place/bin/restormer-cli in.png other.png 2>&1 | tr ' ' '\n' | grep -o 'place/bin/.*share/.*weights' | head -n 1
cp "$identity" place/share/restormer-cli/weights/photo.json
try place/bin/restormer-cli in.png other.png
ln -s ../place/bin/restormer-cli elsewhere/tool
(cd elsewhere && try ./tool ../in.png ../another.png && PATH=$PWD:$PATH && try tool ../in.png ../third.png)

echo '--- by name: in the order of the folders; a file of that name wins'
mkdir -p first second data/restormer home/.local/share/restormer
cp "$identity" second/mine.json
echo '{}' >second/other.json
sed 's/"name": *"[^"]*"/"name": "from data"/; s/"task": *"[^"]*"/"task": "of data"/' identity.json >data/restormer/mine.json
cp "$identity" data/restormer/far.json
cp "$identity" home/.local/share/restormer/at-home.json
for name in mine mine.json far far.json; do
  try env RESTORMER_WEIGHTS_PATH="$PWD/first::second" XDG_DATA_HOME="$PWD/data" restormer-cli -v -w $name in.png named.png 2>&1 |
    sed -n "s|$PWD/||; s/M parameters.*//; /json/p; /exit/p"
done
try env RESTORMER_WEIGHTS_PATH= XDG_DATA_HOME= HOME="$PWD/home" RESTORMER_WEIGHTS=at-home restormer-cli in.png named.png
try env XDG_DATA_HOME=data restormer-cli -w far in.png named.png 2>&1 | sed 's/looked for in: .*)/looked for in: PLACES)/'
mkdir far
try env XDG_DATA_HOME="$PWD/data" restormer-cli -w far in.png named.png
rmdir far
cp version.json far
try env XDG_DATA_HOME="$PWD/data" restormer-cli -w far in.png named.png

echo '--- listed'
try env RESTORMER_WEIGHTS_PATH="second" XDG_DATA_HOME="$PWD/data" place/bin/restormer-cli --list-weights | sed "s|$PWD/||"
rm place/share/restormer-cli/weights/photo.json
restormer-cli --list-weights | grep -c '^denoise  *[0-9.]* M .*denoise.json'
restormer-cli --list-weights >/dev/full
echo "exit $?"

rm -r place elsewhere first second data home
ls
