# Damaged pictures of every format are read or refused: tests/tools/fuzz.c.
. "$TESTS/programs/fuzz/functions.sh"
pictures=$TESTS/programs/cli/pictures
for ending in bmp tga pfm; do
  restormer-cli -q -w "$TESTS/programs/cli/identity.json" "$pictures/rgb.png" "rgb.$ending"
  restormer-cli -q -w "$TESTS/programs/cli/identity.json" "$pictures/grey-alpha.png" "grey.$ending"
done
printf 'P1 # a comment\n5 2\n0 1 0 1 0 10101\n' >text.pbm
printf 'P3\n2 2 9\n1 2 3 4 5 6 7 8 9 0 1 2\n' >text.ppm
printf 'P6\n4 2\n65535\n' >wide.ppm && head -c 48 "$pictures/rgb.png" >>wide.ppm
printf 'P4\n16 8\n' >packed.pbm && head -c 16 "$pictures/rgb.png" >>packed.pbm
# 2 x 2 of a palette of two, a run and a packet
printf '\000\001\011\000\000\002\000\030\000\000\000\000\002\000\002\000\010\040abcdef\202\001\000\000' >packed.tga
rounds=100
fuzz "$pictures/rgb.png" "$pictures/grey16.png" "$pictures/rgba16.png" "$pictures/grey-alpha.png" \
  "$TESTS"/data/images/*.jpg "$TESTS/data/images/dynamic.png" ./*.bmp ./*.tga ./*.pfm ./*.p?m
! ls | grep '^fuzz'
