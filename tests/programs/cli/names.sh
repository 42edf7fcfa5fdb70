# Names of files, and texts out of them, that would drive the terminal or look like other lines: they print as '?'.
. "$TESTS/programs/cli/functions.sh"
name=$(printf 'in\033[2J\nout.png: done \302\233m ä')
cp "$pictures/rgb.png" "$name.png"
sed 's/"name": *"[^"]*"/"name": "\\u001b]0;title\\u0007 \\u009b31m\\nä"/' "$identity" >"$name.json"

{
  try restormer-cli -v -w "$name.json" "$name.png" out.png | grep -v '^ '
  try restormer-cli -w "$name.json" "$name" out.png
  try restormer-cli -w "$name.json" "$name.png" "$name"
  try restormer-cli -w "$name" "$name.png" out.png 2>&1 | sed 's/looked for in: .*)/looked for in: PLACES)/'
  try restormer-cli -w "$name.json" "$name.png" "$name.png"
  try restormer-weights verify "$name.json"
  try restormer-weights verify "$name" 2>&1 | sed 's/looked for in: .*)/looked for in: PLACES)/'
  try restormer-weights info "./$name"
  try restormer-weights info --json "$name.json" | sed -n 's/^ *"name"/"name"/p; /^exit/p'
  try restormer-weights "$name"
  try restormer-compare "$name.png" out.png --diff "$name.diff.png" | tail -n 2
  try restormer-compare "$name" out.png
} >all 2>&1
grep -v '^  \|^restored\|^peak\|^plan' all
# No control character but line ends, neither in one byte nor as U+0080 to U+009F.
! tr -d '\n' <all | grep -c "$(printf '[\001-\037\177]\|\302[\200-\237]')"
