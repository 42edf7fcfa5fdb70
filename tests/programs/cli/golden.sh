# Golden pictures: models of every kind on pictures of every kind. golden/MODEL-PICTURE.png is what this program
# made of them when its float results agreed with the independent computation of the unit tests and with the
# authors' program. One grey level of difference is allowed (16-bit: 8).
. "$TESTS/programs/cli/functions.sh"

model() {
  name=$1
  shift
  "$make_model" "$@" "$name.json"
}
model published-kind --dim 8 --blocks 1,1,1,1 --heads 1,2,2,4
model biasfree --dim 8 --blocks 1,2,1,1 --heads 1,2,4,4 --norm BiasFree --seed 2
model convbias --dim 8 --blocks 1,1,1,1 --bias --seed 3
model one-level --dim 8 --blocks 2 --refinement 1 --seed 4
model two-levels --dim 8 --blocks 1,1 --seed 5
model three-levels --dim 8 --blocks 1,1,1 --heads 1,1,2 --seed 6
model five-levels --dim 4 --blocks 1,1,1,1,1 --seed 7
model none --dim 8 --blocks 1,1,1,1 --attention none --seed 8
model mixed --dim 8 --blocks 1,1,1,1 --attention none,none,mdta,mdta --seed 9
model grey --dim 8 --in 1 --out 1 --norm BiasFree --seed 10
model half --dim 8 --dtype f16 --seed 11
model dual --dim 8 --dual-pixel --seed 12

run_golden() {
  model=$1
  picture=$2
  shift 2
  golden=$here/golden/$model-$picture.png
  case $picture in *16) tolerance=8 ;; *) tolerance=1 ;; esac
  restormer-cli -w "$model.json" "$@" "$pictures/$picture.png" "$model-$picture.png" &&
    restormer-compare "$golden" "$model-$picture.png" --max-diff $tolerance >report
  status=$?
  [ $status -eq 0 ] || cat report
  echo "$model-$picture: exit $status"
}

for model in published-kind biasfree convbias one-level two-levels three-levels five-levels none mixed half; do
  run_golden $model rgb
done
for picture in grey rgba grey-alpha rgb16 grey16 rgba16 pixel row column; do
  run_golden published-kind $picture
  run_golden grey $picture
done
run_golden grey rgb
run_golden dual rgb --right "$pictures/rgb-right.png"
