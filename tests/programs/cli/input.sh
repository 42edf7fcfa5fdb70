# Pictures that cannot be read: status 4, and the output stays as it was.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
echo 'what was there before' >out.png

try restormer-cli missing.png out.png
mkdir folder.png
try restormer-cli folder.png out.png
: >empty.png
try restormer-cli empty.png out.png
echo 'no picture' >text.png
try restormer-cli text.png out.png
head -c 1000 "$pictures/rgb.png" >cut.png
try restormer-cli cut.png out.png
printf 'P6\n4 4\n255\n123' >cut.ppm
try restormer-cli cut.ppm out.png
printf 'P6\n0 4\n255\n' >flat.ppm
try restormer-cli flat.ppm out.png
"$make_model" --dual-pixel dual.json
try restormer-cli -w dual.json --right missing.png "$pictures/rgb.png" out.png

cat out.png
ls -A
