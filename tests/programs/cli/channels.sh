# Models that give other channels than they take: what pictures go in, what comes out, and what is refused.
. "$TESTS/programs/cli/functions.sh"
model() {
  "$make_model" --dim 4 --blocks 1,1 --no-residual --in "$1" --out "$2" model.json
}
restore() {
  echo "--- $1"
  cp "$pictures/$1.png" in.png
  try restormer-cli -q -w model.json in.png out.pfm
  [ ! -e out.pfm ] || head -n 2 out.pfm
  rm -f out.pfm
}

echo '== colour to grey'
model 3 1
for name in rgb grey; do restore "$name"; done
echo '== grey to colour'
model 1 3
for name in rgb grey; do restore "$name"; done
echo '== a map of noise beside the colours'
model 4 3
for name in rgb rgba; do restore "$name"; done
ls | grep -v safetensors # no picture is left behind
