# --progress: a bar on a terminal, lines otherwise, JSON for programs.
. "$TESTS/programs/cli/functions.sh"
on_terminal=$BUILD_DIR/tests/tools/on-terminal
export RESTORMER_WEIGHTS="$identity"
mkdir in
cp "$pictures/rgb.png" in/a.png
cp "$pictures/grey.png" in/c.png
echo broken >in/b.png
without_times() { sed 's/, [0-9] of 3/, N of 3/; s/"\(finished\|failed\)": [0-9]/"\1": N/g; s/[0-9]*\.[0-9][0-9] s$/N s/; s/[0-9]*:[0-9][0-9] /T /g; s/\("[a-z_]*": \)[0-9]*\.[0-9]*/\1N/g; s/"remaining": null/"remaining": N/'; }

echo '--- lines'
try restormer-cli in out 2>&1 | without_times | sort
try restormer-cli in/a.png out.png
try restormer-cli --progress lines in/a.png out.png 2>&1 | without_times
echo '--- JSON'
try restormer-cli --progress json in out 2>&1 | without_times | grep -v '"event": "progress"' | sort
restormer-cli --progress json in out 2>&1 | tail -n 2 | head -n 1 | grep -o '"finished": 3, "failed": 1, "pictures": 3, "fraction": 1.0000'
restormer-cli --progress json in/a.png out.png 2>&1 | grep '"event": "progress"' | head -n 1 | without_times
echo '--- none'
try restormer-cli --progress none in/a.png in/c.png out
try restormer-cli -q in/a.png in/c.png out
try restormer-cli -q --progress json in/a.png in/c.png out
try restormer-cli --progress dots in out

"$on_terminal" true || exit 77
echo '--- a bar, which lines are not mixed with, and which is gone in the end'
escape=$(printf '\033')
"$make_model" --dim 8 --blocks 4,4,4,4 model.json
"$on_terminal" restormer-cli -w model.json in out >bar
echo "exit $?"
tr '\r' '\n' <bar | grep -c "^\[#*\.*\] *[0-9]* %, [0-9] of 3, [0-9:]* elapsed, .* left$escape\[K\$" | sed 's/^[1-9][0-9]*$/bars drawn/'
tr '\r' '\n' <bar | grep -v '^\[#*\.*\] *[0-9]* %' | sed "s/$escape\[K//" | grep .
echo '--- not longer than a line of the terminal'
"$on_terminal" sh -c 'stty cols 40 && restormer-cli -w model.json in/a.png in/c.png out' >bar
tr '\r' '\n' <bar | sed "s/$escape\[K//" | awk 'length > 39 { print "too long: " $0 }'
