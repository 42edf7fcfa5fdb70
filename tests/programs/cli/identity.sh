# Through a model that changes nothing, a picture of any kind and size comes back as it was, and in every format
# that can hold it.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"

for picture in "$pictures"/*.png; do
  name=${picture##*/}
  restormer-cli "$picture" "$name" && restormer-compare "$picture" "$name" --max-diff 0 >/dev/null
  echo "$name: exit $?"
done

echo '--- colour pictures in other formats, and from there back'
for ending in bmp tga pfm; do
  restormer-cli "$pictures/rgb.png" "out.$ending" && restormer-cli "out.$ending" "$ending.png" &&
    restormer-compare "$pictures/rgb.png" "$ending.png" --max-diff 0 >/dev/null
  echo "$ending: exit $?"
done
for ending in jpg jpeg JPG; do
  restormer-cli "$pictures/rgb.png" "out.$ending" && restormer-compare "$pictures/rgb.png" "out.$ending" --min-psnr 30 >/dev/null
  echo "$ending: exit $?"
done

echo '--- float pictures keep every bit'
restormer-cli "$pictures/rgb16.png" wide.pfm && restormer-cli wide.pfm again.pfm && cmp wide.pfm again.pfm
echo "exit $?"

echo '--- portable pixmaps, as text and with two bytes a sample'
printf 'P3\n# grown by hand\n2 1\n255\n255 0 7   1 2 3\n' >text.ppm
printf 'P6\n2 1\n255\n\377\000\007\001\002\003' >binary.ppm
restormer-cli text.ppm text.png && restormer-compare binary.ppm text.png --max-diff 0 >/dev/null
echo "P3: exit $?"
printf 'P6\n1 1\n65535\n\001\002\003\004\005\006' >wide.ppm
restormer-cli wide.ppm wide.png && restormer-compare wide.ppm wide.png --max-diff 0 >/dev/null
echo "P6, 16 bits: exit $?"

echo '--- names with blanks, and names like options'
cp "$pictures/rgb.png" ' a b.png'
cp "$pictures/rgb.png" ./-q.png
restormer-cli ' a b.png' 'c d.png' && restormer-cli -- -q.png -v.png && cmp 'c d.png' ./-v.png
echo "exit $?"
