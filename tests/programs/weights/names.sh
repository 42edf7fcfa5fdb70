# restormer-weights info and verify find weights by their names, as restormer-cli does.
. "$TESTS/programs/functions.sh"
"$BUILD_DIR/tests/tools/make-model" --blocks 1 --dim 2 w.json
mkdir first second
cp w.safetensors second
sed 's/"name": *"[^"]*"/"name": "from second"/' w.json >second/mine.json
export RESTORMER_WEIGHTS_PATH="$PWD/first:$PWD/second"
info() { try restormer-weights info "$@" 2>&1 | sed -n '/^name/p; /^restormer/p; /^exit/p' | sed 's/looked for in: .*)/looked for in: PLACES)/'; }

info mine
info mine.json
restormer-weights info --json mine | grep '"name"'
try restormer-weights verify mine | sed "s|$PWD|PWD|"
info other
restormer-weights info other 2>&1 | grep -c "looked for in: $PWD/first, $PWD/second, "
echo '--- a file of that name wins'
sed 's/"name": *"[^"]*"/"name": "from here"/' w.json >mine.json
info mine.json
info mine
info ./mine
info ./mine.json
echo '--- what $RESTORMER_WEIGHTS names is for restormer-cli'
RESTORMER_WEIGHTS=mine try restormer-weights info
echo '--- the models that come with the program'
unset RESTORMER_WEIGHTS_PATH
for name in $(restormer-cli --list-weights | cut -d' ' -f1 | sort -u); do
  restormer-weights info "$name" >"$name.info" && restormer-weights verify "$name" >"$name.verify" || echo "$name: bad"
done
sed 's|.*/||' photo.verify
