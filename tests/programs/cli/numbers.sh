# A computation that overflows is an error, status 7, and never a picture.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --dim 8 model.json
# 8 x 8 samples of 2^127, alternately with either sign (little-endian).
{ printf 'Pf\n8 8\n-1\n' && for i in 1 2 3 4 5 6 7 8; do printf '\0\0\0\177\0\0\0\377\0\0\0\177\0\0\0\377\0\0\0\377\0\0\0\177\0\0\0\377\0\0\0\177'; done; } >in.pfm
for precision in float32 bf16 int8; do
  try restormer-cli -w model.json --precision $precision in.pfm out.png
  try restormer-cli -w model.json --precision $precision --tile 8 in.pfm out.pfm
done
ls -A
