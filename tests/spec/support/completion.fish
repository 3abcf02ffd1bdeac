# Prints what fish completes: for each line, "== LINE", then a word a line, with
# its description behind a tab.
#
#   fish completion.fish SCRIPT LINE...

source $argv[1]
for line in $argv[2..-1]
    echo "== $line"
    complete -C $line
end
