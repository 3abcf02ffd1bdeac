-- Checks that the documents' links lead to files that exist, and to headings.

local tree = require("tests.check.tree")

local problems = {}

-- A folder can be opened, too.
local function exists(path)
  local file <close> = io.open(path, "rb")
  return file ~= nil
end

-- The anchor that a heading gets: small letters, "-" for a blank, no signs.
---@param heading string
local function anchor_of(heading)
  return (heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

---@param path string
---@return table<string, boolean>
local function read_anchors(path)
  local anchors, is_code = {}, false
  for _, line in ipairs(tree.lines(path)) do
    if line:find("^```") then
      is_code = not is_code
    end
    local heading = not is_code and line:match("^#+%s+(.*)$")
    if heading then
      anchors[anchor_of(heading)] = true
    end
  end
  return anchors
end

-- Returns what is wrong with a link in a document of `folder`, or nil.
local function check(path, folder, target)
  local file, anchor = target:match("^([^#]*)#?(.*)$")
  local name = file == "" and path or folder .. file
  if not exists(name) then
    return "there is no " .. file
  elseif anchor ~= "" and name:find("%.md$") and not read_anchors(name)[anchor]
  then
    return ("%s has no heading #%s"):format(name, anchor)
  end
  return nil
end

local paths = tree.run("find . -name '*.md' -type f -not -path './build/*' "
  .. "-not -path './var/*' | sed 's|^./||' | LC_ALL=C sort")

for _, path in ipairs(paths) do
  local folder = path:match("^.*/") or ""
  for number, line in ipairs(tree.lines(path)) do
    for target in line:gmatch("%]%(([^)]+)%)") do
      local problem = not target:find("^%a+:") and check(path, folder, target)
      if problem then
        problems[#problems + 1] = ("%s:%d: %s"):format(path, number, problem)
      end
    end
  end
end

return problems
