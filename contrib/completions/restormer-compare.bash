_restormer_compare() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  compopt -o filenames 2>/dev/null
  case $prev in
    --max-diff) COMPREPLY=(); return ;;
    --min-psnr) COMPREPLY=(); return ;;
    --min-ssim) COMPREPLY=(); return ;;
    --diff) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --html) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --generate) COMPREPLY=($(compgen -W 'man bash zsh fish' -- "$cur")); return ;;
  esac
  local words='--max-diff --min-psnr --min-ssim --no-sandbox --diff --html --json --help --version --generate'
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -F _restormer_compare restormer-compare
