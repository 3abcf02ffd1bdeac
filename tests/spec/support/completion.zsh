# Prints what zsh completes: for each line, the line after "== ", then what a
# terminal shows when the completions are listed, until the next such line.
#
#   zsh -f completion.zsh FOLDER LINE...      FOLDER contains _kadenza

zmodload zsh/zpty
zpty shell TERM=dumb zsh -f -i
# A text that is typed is echoed: `do""ne` is no end.
zpty -w shell "PS1= fpath=(${(q)1} \$fpath); stty rows 500 columns 250"
zpty -w shell 'autoload -Uz compinit; compinit -u -D; LISTMAX=0'
zpty -w shell 'bindkey "^E" list-choices; bindkey "^X" kill-whole-line'
zpty -w shell 'print do""ne'
zpty -r shell output '*done*'
for line in "${@[2,-1]}"; do
  zpty -w -n shell "$line"$'\x05\x18'
  zpty -w shell 'print do""ne'
  zpty -r shell output '*done*'
  print -r -- "== $line"
  print -r -- "$output"
done
zpty -d shell
