# The same picture by every way that must not change it: bytes for threads, a level for instruction sets.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --dim 12 --blocks 1,1,1,2 --heads 1,2,3,4 model.json
photo=$DATA/$(cd "$DATA" && ls *.png | head -n 1)
export RESTORMER_WEIGHTS=model.json

echo '--- threads, and again'
restormer-cli -q -t 1 "$photo" 1.pfm
for threads in 1 2 3 8; do
  restormer-cli -q -t $threads "$photo" again.pfm
  cmp 1.pfm again.pfm && echo "$threads the same"
  for precision in bf16 int8; do
    restormer-cli -q -t $threads --precision $precision "$photo" $precision-$threads.pfm
    cmp $precision-1.pfm $precision-$threads.pfm && echo "$threads the same in $precision"
  done
done

echo '--- windows, threads'
restormer-cli -q -t 1 --window 64 "$photo" w1.pfm
restormer-cli -q -t 3 --window 64 "$photo" w3.pfm
cmp w1.pfm w3.pfm && echo 'the same'
cmp -s w1.pfm 1.pfm || echo 'another picture than without'

echo '--- a window that holds all of the picture'
restormer-cli -q --window 4096 "$photo" all.pfm
cmp 1.pfm all.pfm && echo 'the same'

echo '--- instruction sets'
restormer-cli -q "$photo" best.png
for isa in $(restormer-cli --version -v | sed -n 's/^instruction sets: //p'); do
  restormer-cli -q --isa $isa "$photo" isa.png
  restormer-compare best.png isa.png --max-diff 1 >/dev/null || echo "$isa differs"
  # In int8 what stands around the products is in bf16 only where the processor multiplies that in pairs.
  for precision in bf16:45 int8:40; do
    restormer-cli -q --isa $isa --precision ${precision%:*} "$photo" isa.pfm
    restormer-compare ${precision%:*}-1.pfm isa.pfm --min-psnr ${precision#*:} >/dev/null || echo "$isa differs in ${precision%:*}"
  done
done
