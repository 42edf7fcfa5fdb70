# The free texts of a manifest reach the terminal and JSON without control characters.
. "$TESTS/programs/functions.sh"

"$BUILD_DIR/tests/tools/make-model" --blocks 0 --refinement 0 --dim 1 --in 1 --out 1 --inline w.json
sed 's/"random"/"a \\u001b[31mred\\u0007 \\u009b1m \\"näme\\""/
  s/"random weights, not trained"/"two\\nlines"/' w.json >v.json
restormer-weights info v.json | grep -v '^sha256' | head -n 4
restormer-weights info --json v.json | head -n 5
