# On a terminal there is a progress bar, which is gone in the end; with --quiet there is none.
. "$TESTS/programs/cli/functions.sh"
on_terminal=$BUILD_DIR/tests/tools/on-terminal
"$make_model" --dim 8 --blocks 4,4,4,4 model.json
cp "$pictures/rgb.png" in.png

"$on_terminal" true || exit 77

"$on_terminal" restormer-cli -w model.json in.png out.png >bar
echo "exit $?"
escape=$(printf '\033')
# Each state begins with a carriage return and clears the rest of the line.
tr '\r' '\n' <bar | grep -c "^\[#*\.*\] *[0-9]* %.*$escape\[K\$" | sed 's/^[1-9][0-9]*$/bars drawn/'
tr '\r' '\n' <bar | grep -v "^\[#*\.*\] *[0-9]* %" | sed "s/$escape/ESC/"

echo '--- quiet'
"$on_terminal" restormer-cli --quiet -w model.json in.png out.png
echo "exit $?"
