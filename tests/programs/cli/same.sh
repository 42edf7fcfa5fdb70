# Results that must not depend on how the program is called.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --dim 8 --blocks 1,1,1,1 model.json
cp "$pictures/rgb.png" in.png

echo '--- the number of threads, and the run'
restormer-cli -w model.json in.png once.pfm
for threads in 1 2 3 8; do
  restormer-cli -w model.json -t $threads in.png again.pfm && cmp once.pfm again.pfm
  echo "-t $threads: exit $?"
done

echo '--- integers are the float result, clamped and rounded'
restormer-cli -w model.json in.png out.png
restormer-cli -w "$identity" once.pfm rounded.bmp
restormer-compare out.png rounded.bmp --max-diff 0 >/dev/null
echo "exit $?"

echo '--- alpha goes onto white, with a word, where the format has none'
restormer-cli -w model.json "$pictures/rgba.png" alpha.jpg
echo "exit $?"

echo '--- a grey picture on an RGB model is one of three equal channels'
restormer-cli -w model.json "$pictures/grey.png" grey.pfm && head -n 1 grey.pfm

echo '--- options in any order; nothing is printed without -v, and no bar where there is no terminal'
restormer-cli in.png -q out2.png --weights=model.json && cmp out.png out2.png
echo "exit $?"
