# --region, --preview, --strength; the model makes everything black, so that mixtures are known.
. "$TESTS/programs/cli/functions.sh"
sed 's/"residual": true/"residual": false/' "$identity" >black.json
export RESTORMER_WEIGHTS="$identity"
same() { restormer-compare "$1" "$2" --max-diff 0 | head -n 1; }
echo 'P2 4 3 255  0 1 2 3  10 11 12 13  20 21 22 23' >in.pgm

echo '--- region'
echo 'P2 2 2 255  11 12  21 22' >expected.pgm
try restormer-cli --region 1,1,2,2 in.pgm out.png
same expected.pgm out.png
try restormer-cli --region 0,0,4,3 in.pgm out.png
same in.pgm out.png
try restormer-cli --region 1,2,1,1 "$pictures/rgba16.png" out.png
for region in 1,1,4,1 4,0,1,1 0,3,1,1 0,1,1,3 999999999,0,1,1; do
  try restormer-cli --region $region in.pgm wrong.png
done
for region in 1,1,2 1,1,0,1 1,1,1,0 -1,0,1,1 1,1,1,1,1 '' 1x1 1,1,9999999999,1; do
  try restormer-cli --region "$region" in.pgm wrong.png
done

echo '--- strength'
echo 'P2 2 2 255  100 40  0 252' >in.pgm
echo 'P2 2 2 255  25 10  0 63' >expected.pgm
try restormer-cli -w black.json --strength 0.75 in.pgm out.png
same expected.pgm out.png
restormer-cli -w black.json --strength 0 in.pgm out.png && same in.pgm out.png
restormer-cli -w black.json --strength 1 in.pgm out.png && restormer-cli -w black.json in.pgm black.png && cmp out.png black.png && echo 'the result'
restormer-cli -w black.json --strength 0.5 "$pictures/rgba16.png" half.png && restormer-compare half.png "$pictures/rgba16.png" | head -n 1 | cut -d. -f1
od -A n -t u1 -j 24 -N 2 half.png # 16 bits, with alpha
restormer-cli -w black.json --strength 0.75 in.pgm out.pfm && same expected.pgm out.pfm
for strength in -0.1 1.1 nan '' x; do
  try restormer-cli --strength "$strength" in.pgm wrong.png
done

echo '--- before and after'
echo 'P2 4 2 255  100 40 0 0  0 252 0 0' >expected.pgm
try restormer-cli -w black.json --preview in.pgm out.png
same expected.pgm out.png
echo 'P2 2 1 255  40 20' >expected.pgm
try restormer-cli -w black.json --preview --strength 0.5 --region 1,0,1,1 in.pgm out.png
same expected.pgm out.png
try restormer-cli --preview "$pictures/rgba16.png" both.png
restormer-compare --json both.png both.png | grep -o '"width": [0-9]*, "height": [0-9]*, "channels": [0-9]*'
ls
