# bash completion for hyperdrive
_hyperdrive() {
  local words=("${COMP_WORDS[@]:1:COMP_CWORD}") line text also=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) also=${line#:} ;;
      *)
        text=${line%%$'\t'*}
        COMPREPLY+=("$(printf '%q' "$text")")
        ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
  local current=${COMP_WORDS[COMP_CWORD]}
  case $also in
    files) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2>/dev/null ;;
    folders) mapfile -t COMPREPLY < <(compgen -d -- "$current"); compopt -o filenames 2>/dev/null ;;
    command) mapfile -t COMPREPLY < <(compgen -c -f -- "$current") ;;
  esac
}
complete -F _hyperdrive hyperdrive
