local figures = require("kadenza.cli.figures")

describe("figures for people", function()
  local function each(write, cases)
    for _, case in ipairs(cases) do
      assert.equal(case[2], write(case[1]))
    end
  end

  it("are whole numbers in groups of digits", function()
    each(figures.count, { { 0, "0" }, { 999, "999" }, { 1000, "1,000" },
      { 1234567, "1,234,567" }, { 12.6, "13" }, { -1234, "-1,234" },
      { -123, "-123" } })
  end)

  it("are numbers of three digits", function()
    each(figures.number, { { 0, "0" }, { 0.004, "0.00" }, { 0.42, "0.42" },
      { 9.99, "9.99" }, { 12.34, "12.3" }, { 123.4, "123" },
      { 12345.6, "12,346" } })
  end)

  it("are bytes", function()
    each(figures.bytes, { { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.00 kB" },
      { 67108864, "67.1 MB" }, { 999600, "1.00 MB" }, { 5e12, "5.00 TB" },
      { 5e15, "5,000 TB" } })
  end)

  it("are long times in two units", function()
    each(figures.span, { { 0, "0 s" }, { 59.9, "59 s" }, { 60, "1 min" },
      { 61, "1 min 1 s" }, { 599, "9 min 59 s" }, { 601, "10 min" },
      { 3600, "1 h 0 min" }, { 90000, "1 d 1 h" }, { 864000, "10 d 0 h" } })
  end)

  it("are short times", function()
    each(figures.duration, { { 0, "0 µs" }, { 12e-6, "12 µs" },
      { 0.0034, "3.40 ms" }, { 1.2, "1.20 s" }, { 61, "1 min 1 s" } })
  end)
end)
