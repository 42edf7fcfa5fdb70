# Wrong values of the options that say how to compute.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
cp "$pictures/rgb.png" in.png

try restormer-cli --precision half in.png out.png
try restormer-cli --isa sse9 in.png out.png
for value in 0 -8 8x '' 99999999999; do
  try restormer-cli --window "$value" in.png out.png
  try restormer-cli --tile "$value" in.png out.png
done
try restormer-cli --overlap -1 --tile 8 in.png out.png
try restormer-cli --overlap 8 in.png out.png
try restormer-cli --tile 16 --overlap 16 in.png out.png
try restormer-cli --blend smooth --tile 16 in.png out.png
for value in 0 -1 1X 1KB K 99999999999999999999 18014398509481984K ''; do
  try restormer-cli --max-memory "$value" in.png out.png
done

echo '--- what does not fit the model (4 levels: multiples of 8)'
"$make_model" model.json
try restormer-cli -w model.json --tile 12 in.png out.png
try restormer-cli -w model.json --window 7 in.png out.png
try restormer-cli -w model.json --max-memory 4524K in.png out.png 2>&1 | sed "s/take [0-9]* MB/take N MB/"
ls -A
