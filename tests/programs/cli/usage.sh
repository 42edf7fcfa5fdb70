# What is said about a wrong command line: one line on stderr, status 2, nothing written.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
cp "$pictures/rgb.png" in.png

try restormer-cli
try restormer-cli in.png
try restormer-cli in.png out.png more.png
try restormer-cli --no-such-option in.png out.png
try restormer-cli -Z in.png out.png
try restormer-cli in.png out.png --weights
try restormer-cli in.png out.png -t
try restormer-cli --quiet=yes in.png out.png
for threads in 0 -1 1025 two 2x '' ' 2' 99999999999999999999; do
  try restormer-cli -t "$threads" in.png out.png
done

echo '--- names that say no format, or one that is not written'
for name in out out.heic out.png.gz png out.; do
  try restormer-cli in.png "$name"
done

echo '--- the output is an input, by whatever name'
ln -s in.png link.png
ln in.png hard.png
mkdir folder
for name in in.png ./in.png folder/../in.png link.png hard.png; do
  try restormer-cli in.png "$name"
done
cmp in.png "$pictures/rgb.png" && echo 'input untouched'

echo '--- views'
"$make_model" --dual-pixel dual.json
try restormer-cli -w dual.json in.png out.png
try restormer-cli --right "$pictures/rgb-right.png" in.png out.png 2>&1 | sed "s|$here|HERE|"
try restormer-cli -w dual.json --right in.png in.png in.png
try restormer-cli -w dual.json --right "$pictures/row.png" in.png out.png

rm -r folder
ls -A
