_restormer_cli() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  compopt -o filenames 2>/dev/null
  case $prev in
    --suffix) COMPREPLY=(); return ;;
    --format) COMPREPLY=($(compgen -W 'png jpeg tiff webp bmp tga pfm' -- "$cur")); return ;;
    --shard) COMPREPLY=(); return ;;
    --region) COMPREPLY=(); return ;;
    --strength) COMPREPLY=(); return ;;
    --depth) COMPREPLY=($(compgen -W '8 16 auto' -- "$cur")); return ;;
    --quality) COMPREPLY=(); return ;;
    --background) COMPREPLY=($(compgen -W 'white black' -- "$cur")); return ;;
    --max-pixels) COMPREPLY=(); return ;;
    -w | --weights) COMPREPLY=($(compgen -W '$(restormer-cli --list-weights 2>/dev/null | cut -d" " -f1)' -- "$cur") $(compgen -f -- "$cur")); return ;;
    --right) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --window) COMPREPLY=(); return ;;
    -t | --threads) COMPREPLY=(); return ;;
    -j | --jobs) COMPREPLY=(); return ;;
    --precision) COMPREPLY=($(compgen -W 'float32 bf16 int8' -- "$cur")); return ;;
    --isa) COMPREPLY=($(compgen -W 'auto baseline avx2 avxvnni avx512 avx512vnni avx512bf16 amx neon neondot' -- "$cur")); return ;;
    --max-memory) COMPREPLY=(); return ;;
    --tile) COMPREPLY=(); return ;;
    --overlap) COMPREPLY=(); return ;;
    --blend) COMPREPLY=($(compgen -W 'ramp uniform' -- "$cur")); return ;;
    --progress) COMPREPLY=($(compgen -W 'auto bar lines json none' -- "$cur")); return ;;
    --stats) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --generate) COMPREPLY=($(compgen -W 'man bash zsh fish' -- "$cur")); return ;;
  esac
  local words='--recursive --suffix --format --skip-existing --shard --region --preview --strength --depth --quality --background --strip --max-pixels --weights --list-weights --right --window --threads --jobs --precision --isa --max-memory --tile --overlap --blend --no-sandbox --progress --stats --quiet --verbose --help --version --generate'
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -F _restormer_cli restormer-cli
