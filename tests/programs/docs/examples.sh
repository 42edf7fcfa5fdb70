# The examples of README's "Many pictures" do what they say; instead of other machines there is this one, and instead of
# Slurm there is GNU parallel.
. "$TESTS/programs/cli/functions.sh"
command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q '^GNU parallel' || { echo 'no GNU parallel here'; exit 77; }
export RESTORMER_WEIGHTS="$identity"
HOME=$PWD
export HOME
mkdir .parallel
: >.parallel/will-cite
mkdir photos
for name in a b 'c d' e f; do cp "$pictures/rgb.png" "photos/$name.png"; done
cp -r "$TESTS/../contrib" .

# sbatch as far as it goes without a cluster.
mkdir bin
cat >bin/sbatch <<'END'
#!/bin/sh
tasks=${1#--array=1-}
shift
seq "$tasks" | parallel -j 2 "SLURM_ARRAY_TASK_ID={} SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=$tasks" "$@"
END
chmod +x bin/sbatch
PATH=$PWD/bin:$PATH

awk '/^#/ && !/^ / { section = $0 } section ~ /Many pictures/ && /^    [^#]/' "$TESTS/../README.md" | sed 's/^    //; s/  *# .*//; s/host1,host2,host3/:/' >examples
wc -l <examples | tr -d ' '
while read -r line; do
  rm -rf clean
  echo "$line"
  eval "$line" >log 2>&1 </dev/null || cat log
  ls clean | wc -l | tr -d ' '
done <examples
try contrib/slurm-array photos clean
