# Prints what bash completes: for each line, "== LINE", then a word a line.
#
#   bash completion.bash SCRIPT LINE...

source "$1"
shift
compopt() { :; } # of an interactive shell only
for line in "$@"; do
  read -ra COMP_WORDS <<<"${line//=/ = }"
  [[ $line == *[\ =] ]] && COMP_WORDS+=('')
  # Readline passes the "=" itself while nothing follows it.
  [[ $line == *= ]] && unset 'COMP_WORDS[-1]'
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  $(complete -p kadenza | sed 's/.*-F \([^ ]*\) .*/\1/')
  printf '== %s\n' "$line"
  for word in "${COMPREPLY[@]}"; do
    [[ -d $word ]] && word+=/ # as readline does
    printf '%s\n' "$word"
  done
done
