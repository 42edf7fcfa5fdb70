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

echo '--- small ones as many at once as there are threads, with one each; large ones one by one, with all of them'
mkdir mixed alone
for i in 1 2 3 4 5 6; do cp in/a.png mixed/$i.png; done
restormer-cli --region 0,0,128,128 -w "$identity" "$DATA/cat-noise25.png" mixed/small.png
restormer-cli --region 0,0,129,1 -w "$identity" "$DATA/cat-noise25.png" mixed/3-wide.png
restormer-cli --region 0,0,1,129 -w "$identity" "$DATA/cat-noise25.png" mixed/5-tall.png
cp in/i.png mixed/large.png
for picture in mixed/*; do restormer-cli -q "$picture" "alone/${picture#mixed/}"; done
for jobs in '' '-j 1' '-j 3'; do
  rm -rf many
  try restormer-cli -q -t 3 $jobs --stats stats mixed many
  diff -r alone many && sed 's/.*"input": "\([^"]*\)".*"threads": \([0-9]*\).*/\1 \2/' stats | sort | tr '\n' ' ' && echo
done
try restormer-cli -q -t 3 --max-memory 14M --stats stats mixed many # too little for several
sed 's/.*"threads": \([0-9]*\).*/\1/' stats | sort -u

echo '--- 64 x 64: the whole takes little more than the restores by themselves, one after the other'
unset RESTORMER_WEIGHTS
mkdir small
restormer-cli -w "$identity" --region 100,60,64,64 "$DATA/cat-noise25.png" small/0.png
for i in 1 2 3 4 5 6 7 8 9; do for k in 1 2 3 4; do cp small/0.png "small/$i$k.png"; done; done
# Others may keep the machine busy: one try of five is enough.
for try in 1 2 3 4 5; do
  rm -rf out again
  restormer-cli -q -j 1 --stats stats small out
  restormer-cli --progress json small again 2>events
  diff -r out again
  elapsed=$(sed -n 's/.*"event": "end".*"elapsed": \([0-9.]*\).*/\1/p' events)
  took=$(sed 's/.*"restore": \([0-9.]*\).*/\1/' stats | awk -v elapsed="$elapsed" '
    { restores += $1 }
    END { print NR " pictures"; if (elapsed < 1.5 * restores) print "at most 1.5 times as long"; else print elapsed " s, restores " restores " s" }')
  case $took in *times*) break ;; esac
done
echo "$took"
