# Paths of any length: the reason is never cut off.
. "$TESTS/programs/failures/functions.sh"
part=a-folder-with-a-name-that-is-rather-long-for-a-folder
long=$part
while [ ${#long} -lt 1500 ]; do long=$long/$part; done

reason() {
  status=$("$@" 2>&1 >/dev/null; echo "exit $?")
  echo "$status" | sed 's/.*\(.\{60\}\)$/\1/'
}
reason restormer-cli "$long/missing.png" out.png
reason restormer-cli in.png "$long/out.png"
reason restormer-cli -w "$long/model.json" in.png out.png
reason restormer-compare in.png "$long/missing.png"
reason restormer-weights verify "$long/model.json"
mkdir -p "$long"
cp in.png "$long/in.png"
try restormer-cli -q "$long/in.png" "$long/out.png"
echo no picture >"$long/text.png"
reason restormer-cli "$long/text.png" out.png
