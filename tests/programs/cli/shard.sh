# --shard: every picture is in one part, whichever other pictures there are.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
mkdir in
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cp "$pictures/pixel.png" "in/picture-$i.png"; done
for i in 1 2 3; do
  restormer-cli --progress none --shard $i/3 in "out$i"
  echo "exit $?, $(ls "out$i" | wc -l | tr -d ' ') of 12"
done
cat out1/*.png >/dev/null && ls out1 out2 out3 | grep '^p' | sort | uniq -c | awk '{ n[$1]++ } END { for (i in n) print n[i], "pictures in", i, "part" }'
echo '--- a part stays what it is when others are gone, from any folder'
ls out2 >before
for file in in/*; do [ -e "out2/${file#in/}" ] || rm "$file"; done
(cd in && restormer-cli --progress none --shard 2/3 . ../again)
ls again | cmp - before && echo 'the same'
echo '--- a part may be empty'
restormer-cli --progress none --shard 1/3 in none
echo "exit $?"
ls
for shard in 0/3 4/3 1/0 1 1/ /3 a/b 1/2/3 -1/3 '1 /3' 1/9999999999; do
  try restormer-cli --shard "$shard" in none
done
