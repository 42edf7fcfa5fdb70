# A folder's pictures share a session where they can: that changes no result, and little time goes to anything else.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --dim 8 --blocks 1,1,1,1 model.json
export RESTORMER_WEIGHTS=model.json
mkdir in one
restormer-cli --region 0,0,16,12 "$pictures/rgb.png" in/a.png
restormer-cli --region 8,4,16,12 "$pictures/rgb.png" in/b.png
restormer-cli --region 1,2,12,16 "$pictures/rgb.png" in/c.png
restormer-cli --region 3,3,16,12 "$pictures/grey.png" in/d.png
restormer-cli --region 1,1,16,12 "$pictures/rgba.png" in/e.png
restormer-cli --region 2,2,16,12 "$pictures/rgb16.png" in/f.png
echo broken >in/g.png
cp in/a.png in/h.png
for picture in in/[a-fh].png; do restormer-cli -q --strength 0.75 "$picture" "one/${picture#in/}"; done
for jobs in 1 3; do
  rm -rf many
  try restormer-cli -q --strength 0.75 -j $jobs in many
  diff -r one many && echo "-j $jobs: as one by one"
done
echo '--- in tiles for lack of memory, too'
rm in/g.png one/*
restormer-cli "$DATA/cat-noise25.png" in/i.png
cp in/i.png in/j.png
for picture in in/*.png; do restormer-cli -q --max-memory 14M "$picture" "one/${picture#in/}"; done
try restormer-cli --progress none --max-memory 14M in many 2>&1 | sed 's/into .*/into what there is/' | sort
diff -r one many && echo 'as one by one'

echo '--- 64 x 64: the whole takes little more than the restores by themselves'
unset RESTORMER_WEIGHTS
mkdir small
restormer-cli -w "$identity" --region 100,60,64,64 "$DATA/cat-noise25.png" small/0.png
for i in 1 2 3 4 5 6 7 8 9; do for k in 1 2 3 4; do cp small/0.png "small/$i$k.png"; done; done
restormer-cli --progress json --stats stats small out 2>events
elapsed=$(sed -n 's/.*"event": "end".*"elapsed": \([0-9.]*\).*/\1/p' events)
sed 's/.*"restore": \([0-9.]*\).*/\1/' stats | awk -v elapsed="$elapsed" '
  { restores += $1 }
  END { print NR " pictures"; if (elapsed < 1.5 * restores) print "at most 1.5 times as long"; else print elapsed " s, restores " restores " s" }'
