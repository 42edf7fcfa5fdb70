# Transparent pixels where the format has no alpha, and metadata that are not wanted.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
# 2 x 1 with alpha: opaque, and transparent all over.
printf '\0\0\2\0\0\0\0\0\0\0\0\0\2\0\1\0\040\050\36\24\12\377\310\310\310\0' >in.tga
bytes() { od -A n -t u1 -j "$2" -N 6 "$1"; }
echo '--- the ground is white, and it is said'
try restormer-cli in.tga out.pfm
od -A n -t f4 --endian=little -j 12 out.pfm 2>/dev/null | head -n 1
for color in black 0000ff '#00FF00' white; do
  try restormer-cli -q --background "$color" in.tga out.pfm
  restormer-cli -q out.pfm out.bmp
  bytes out.bmp 54
done
for color in red 12345 '#1234567' 'gg0000' ''; do
  try restormer-cli --background "$color" in.tga out.pfm
done
echo '--- metadata'
printf 'P5\n1 1\n255\na' >pixel.pgm
restormer-cli pixel.pgm plain.png
{ head -c 33 plain.png && printf '\0\0\0\011pHYs\0\0\056\043\0\0\056\043\001\170\245\077\166' && tail -c +34 plain.png; } >in.png
try restormer-cli in.png out.png
grep -c pHYs out.png
try restormer-cli --region 0,0,1,1 --preview in.png out.png
grep -c pHYs out.png
try restormer-cli --strip in.png out.png
grep -c pHYs out.png || true
