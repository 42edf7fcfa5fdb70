# What --verbose tells, on stderr.
. "$TESTS/programs/cli/functions.sh"
"$make_model" --full --dtype f16 model.json
cp "$pictures/pixel.png" in.png
restormer-cli -v -w model.json in.png out.png 2>&1 >/dev/null | sed 's/in [0-9.]* s/in N s/; s/memory [0-9.]* MB/memory N MB/; s/^\(  [a-z0-9_]*\) .* ms$/\1 N ms/; s/[0-9.]* MB to work/N MB to work/; s/[0-9.]* MB in all/N MB in all/'
