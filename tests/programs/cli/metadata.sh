# Colour and metadata survive, as other programs see it: exiftool, pngcheck and ImageMagick.
. "$TESTS/programs/cli/functions.sh"
for tool in exiftool pngcheck convert identify; do
  command -v $tool >/dev/null 2>&1 || { echo "no $tool here"; exit 77; }
done
export RESTORMER_WEIGHTS="$identity"
# What a file says, and that its format's checkers have nothing to say about it.
tell() {
  exiftool -a -s -m -ImageWidth -ImageHeight -BitDepth -ProfileDescription -Model -Orientation -Author -Title -Comment -Gamma \
    -RedX -SRGBRendering -ColorPrimaries -TransferCharacteristics -PixelsPerUnitX -JFIF:XResolution -Format "$1" | tr -s ' '
  case $1 in *.png) exiftool -s3 -ColorPrimaries "$1" | grep -q . || pngcheck -q "$1" ;; esac
  identify -regard-warnings -format '%m %wx%h %[channels] %[bit-depth]\n' "$1"
}
profile() { exiftool -b -ICC_Profile "$1" | cksum; }

# A JPEG with the same metadata and, besides, XMP.
restormer-cli --strip "$pictures/tagged.png" plain.png
convert plain.png -rotate -90 -quality 95 tagged.jpg
exiftool -q -q -overwrite_original -TagsFromFile "$pictures/tagged.png" -ICC_Profile -Model -Comment=remark \
  -XMP-dc:Format=image/jpeg -JFIF:XResolution=300 -JFIF:YResolution=300 -JFIF:ResolutionUnit=inches tagged.jpg
exiftool -q -q -overwrite_original -n -Orientation=6 tagged.jpg
cp "$pictures/tagged.png" tagged.png
for input in tagged.png tagged.jpg; do
  echo "--- $input"
  tell $input
  for output in out.png out.jpg; do
    echo "--- $input to $output"
    try restormer-cli $input $output
    tell $output
    [ "$(profile $input)" = "$(profile $output)" ] && echo 'the same profile'
    convert $input -rotate 90 +profile '*' upright.png
    restormer-compare upright.png $output | grep '^PSNR' | awk '{ if ($2 == "inf" || $2 > 35) print "the same picture"; else print }'
    echo "--- $input to $output, stripped"
    try restormer-cli --strip $input $output
    tell $output
  done
done

echo '--- TIFF and WebP hold some of it'
for output in out.tiff out.webp; do
  restormer-cli --version -v | grep -q "^formats written:.* ${output#out.}" || continue
  restormer-cli -q tagged.png $output
  exiftool -s -m -ProfileDescription -Model -XResolution $output | tr -s ' '
  [ "$(profile tagged.png)" = "$(profile $output)" ] && echo 'the same profile'
done

echo '--- gAMA, cHRM, sRGB and cICP'
for name in colours srgb; do
  try restormer-cli "$pictures/$name.png" out.png
  tell out.png
  try restormer-cli --strip "$pictures/$name.png" out.png
  tell out.png
done

echo '--- every orientation is as ImageMagick turns it'
for orientation in 1 2 3 4 5 6 7 8; do
  exiftool -q -q -overwrite_original -n -Orientation=$orientation tagged.jpg
  restormer-cli -q tagged.jpg out.png
  convert tagged.jpg -auto-orient -strip upright.png
  restormer-compare upright.png out.png --min-psnr 45 | sed -n 's/^PSNR.*/the same picture/p'
  exiftool -s3 -n -Orientation out.png
done
