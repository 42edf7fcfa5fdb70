# The weights that ship, found from any folder: noise goes, clean pictures stay, for every kind and size of picture.
. "$TESTS/programs/cli/functions.sh"
weights=$TESTS/../weights

# at_least DB A B: says so, or what it is instead.
at_least() {
  restormer-compare "$2" "$3" --min-psnr "$1" >/dev/null && echo "$(basename "$3"): at least $1 dB"
}

for model in denoise derain photo; do
  restormer-weights verify "$weights/$model.json" >/dev/null && echo "$model: whole"
  [ "$(wc -c <"$weights/$model.safetensors")" -le 8000000 ] && echo "$model: at most 8 MB"
done

echo '--- samples: 20.3 and 15.3 dB before'
folder=$PWD
(cd / && restormer-cli -q "$DATA/cat-noise25.png" "$folder/cat.pfm")
restormer-cli -q -w denoise "$DATA/cat-noise25.png" denoised.png
restormer-cli -q "$DATA/coffee-noise50.png" coffee.png
at_least 30.9 "$DATA/cat.png" cat.pfm
at_least 30.9 "$DATA/cat.png" denoised.png
at_least 26.2 "$DATA/coffee.png" coffee.png

echo '--- a noisy photograph: 25.0 dB before'
restormer-cli -q "$DATA/astronaut-camera.jpg" astronaut.png
at_least 30.6 "$DATA/astronaut.png" astronaut.png

echo '--- rain: 22.7 dB before'
restormer-cli -q -w derain "$DATA/cat-rain.jpg" derained.png
at_least 29.5 "$DATA/cat.png" derained.png

echo '--- bf16 and int8'
restormer-cli -q --precision bf16 "$DATA/cat-noise25.png" bf16.pfm
at_least 50 cat.pfm bf16.pfm
restormer-cli -q -w denoise "$DATA/cat-noise25.png" denoise.pfm
restormer-cli -q -w derain "$DATA/cat-noise25.png" derain.pfm
for model in photo denoise derain; do
  restormer-cli -q -w $model --precision int8 "$DATA/cat-noise25.png" $model-int8.pfm
done
at_least 55 cat.pfm photo-int8.pfm
at_least 55 denoise.pfm denoise-int8.pfm
at_least 55 derain.pfm derain-int8.pfm

echo '--- clean pictures'
restormer-cli -q "$DATA/cat.png" clean.png
at_least 45 "$DATA/cat.png" clean.png

echo '--- a grey picture: 20.3 dB before'
restormer-cli -q -w "$identity" "$DATA/cat.png" cat.bmp # 54 bytes, then blue, green and red; rows without padding
mkdir grey out
{
  echo 'P2 300 228 255'
  tail -c +55 cat.bmp | od -An -v -tu1 | awk '{ for (i = 1; i <= NF; i++) if (n++ % 3 == 1) print $i }'
} >grey/green.pgm
"$BUILD_DIR/quality/quality" --sigmas 25 --jpeg none --float32-only grey out >/dev/null
awk -F, '$3 == "float32" { print $1 ": " ($4 >= 27 ? "at least 27 dB" : $4 " dB") }' out/pictures.csv

echo '--- any kind and size'
for picture in "$pictures"/*.png; do
  name=${picture##*/}
  restormer-cli -q "$picture" "$name" && restormer-compare "$picture" "$name" >/dev/null
  echo "$name: exit $?, white is $(restormer-compare --json "$name" "$name" | sed 's/.*"white": \([0-9]*\).*/\1/')"
done
