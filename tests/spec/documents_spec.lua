-- Tests tests/check/examples.lua.

local process = require("support.process")
local support = require("support")

describe("the examples of a document", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  -- Returns the results of a document, and all that was printed.
  local function run(text, seconds)
    local path = folder .. "/document.md"
    local file = assert(io.open(path, "wb"))
    assert(file:write((text:gsub("~~~", "```"))))
    file:close()
    local done = process.start({ "tests/check/examples.lua", path }, {
      path = os.getenv("LUA") or "lua5.4",
      env = { EXAMPLE_SECONDS = tostring(seconds or 10),
        BUILD = os.getenv("BUILD") or "build" },
    })
    done:wait(60)
    local results = {}
    for ok in done.stdout:gmatch("%f[^\n\0]([not ]*ok) %d+ %- ") do
      results[#results + 1] = ok
    end
    return table.concat(results, ", "), done.stdout .. done.stderr
  end

  it("share variables, the folder and files", function()
    local results, output = run([[
~~~console
$ export COLOUR=blue
$ mkdir box && cd box
$ echo $COLOUR >colour
~~~
~~~lua
print(os.getenv("COLOUR"))  --> blue
~~~
~~~console
$ cat ../box/colour; pwd
blue
…/box
~~~
]])
    assert.equal("ok, ok, ok", results, output)
  end)

  it("share what runs in the background, until a block stops it", function()
    local results, output = run([[
~~~console
$ sh -c 'echo started; exec sleep 100' &
started
~~~
~~~console
$ kill -0 %1 && echo runs
runs
$ kill %1; wait
~~~
~~~console
$ kill -0 %1
runs
~~~
]])
    assert.equal("ok, ok, not ok", results, output)
    assert.matches("printed: .*no such job", output)
  end)

  it("find a port in use that an earlier block left in use", function()
    local start = [[
~~~console
$ kadenza run --listen 127.0.0.1:7009 --allow-local --store memory &
kadenza: listening on 127.0.0.1:7009 id=…
~~~
]]
    local results, output = run(start .. start)
    assert.equal("ok, not ok", results, output)
    assert.matches("address already in use", output)
    results, output = run(start .. "~~~console\n$ kill %1; wait\n~~~\n"
      .. start)
    assert.equal("ok, ok, ok", results, output)
  end)

  it("fail when they do not end, and the next one runs", function()
    local results, output = run([[
~~~console
$ sleep 100
~~~
~~~lua
while true do
end
~~~
~~~console
$ echo next
next
~~~
]], 1)
    assert.equal("not ok, not ok, ok", results, output)
  end)

  it("fail with an output that is not as shown, or a bad status", function()
    local results, output = run([[
~~~console
$ echo one; echo two
one
~~~
~~~lua
error("no")
~~~
~~~lua
print(1)  --> 2
~~~
]])
    assert.equal("not ok, not ok, not ok", results, output)
  end)
end)
