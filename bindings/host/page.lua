-- Joins the dashboard of the HTTP server to one page that loads nothing.
--
--   lua5.4 bindings/host/page.lua OUTPUT.html LIBRARY.js
--
-- LIBRARY.js is dygraphs, which draws the charts. The page has its licence.

local FOLDER <const> = "scripts/kadenza/web/page/"

-- In their order: each may use what those before it define.
local SCRIPTS <const> = { "format.js", "elements.js", "chart.js", "panels.js",
  "log.js", "page.js" }

---@param path string
---@return string text
local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return assert(file:read("a"))
end

-- Returns a text that ends no element, comment or marker too early.
---@param name string  of the source, for the message
---@param text string
---@return string text
local function checked(name, text)
  for _, end_mark in ipairs({ "</script", "</style", "<!--", "\r" }) do
    if text:lower():find(end_mark:lower(), 1, true) then
      error(("%s has '%s', which a page cannot contain"):format(name, end_mark),
        0)
    end
  end
  return text
end

---@return string script
local function join_scripts()
  local texts = {}
  for i, name in ipairs(SCRIPTS) do
    texts[i] = checked(name, read(FOLDER .. name))
  end
  return '"use strict";\n(() => {\n' .. table.concat(texts, "\n") .. "})();\n"
end

---@param library string  path
---@return string page
local function generate(library)
  local charts = read(library):gsub("\n//# sourceMappingURL=[^\n]*", "")
  local licence = read(FOLDER .. "dygraphs.txt")
  assert(not licence:find("*/", 1, true))
  local parts = {
    STYLE = checked("page.css", read(FOLDER .. "page.css")),
    LIBRARY = "/*!\n" .. licence .. "*/\n" .. checked(library, charts),
    SCRIPT = join_scripts(),
  }
  local page, count = read(FOLDER .. "index.html"):gsub("@(%u+)@", parts)
  assert(count == 3, "index.html has other marks than expected")
  return page
end

local output, library = arg[1], arg[2]
local page = generate(library)
local file <close> = assert(io.open(output, "wb"))
assert(file:write(page))
