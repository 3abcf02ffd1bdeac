local cache = require("kadenza.web.api.cache")

local function answer(bytes, ends)
  return { bytes = bytes, ends = ends or 1000 }
end

describe("a cache of answers", function()
  it("returns an answer until it is too old", function()
    local answers = cache.new(10000)
    local kept = answer(10, 5)
    answers:put("a", kept)
    assert.equal(kept, answers:get("a", 4.9))
    assert.is_nil(answers:get("a", 5))
    assert.equal(0, answers:size())
    assert.is_nil(answers:get("b", 0))
  end)

  it("replaces and forgets answers", function()
    local answers = cache.new(10000)
    answers:put("a", answer(10))
    local newer = answer(20)
    answers:put("a", newer)
    assert.equal(newer, answers:get("a", 0))
    answers:forget("a")
    answers:forget("a")
    assert.is_nil(answers:get("a", 0))
    assert.equal(0, answers:size())
  end)

  it("never takes more than its limit", function()
    local answers = cache.new(20000)
    local largest = 0
    for i = 1, 10000 do
      answers:put("n" .. i, answer(i * 7919 % 3000))
      answers:get("n" .. i * 31 % 9999, 0)
      if i % 3 == 0 then
        answers:forget("n" .. i - 1)
      end
      largest = math.max(largest, answers:size())
    end
    assert.is_true(largest <= 20000 and largest > 10000)
    assert.is_true(answers:size() >= 0)
  end)

  it("keeps what is used", function()
    local answers = cache.new(20000)
    answers:put("used", answer(0))
    for i = 1, 1000 do
      answers:put("n" .. i, answer(0))
      assert.is_table(answers:get("used", 0))
    end
    assert.is_nil(answers:get("n1", 0))
  end)

  it("does not keep an answer that is larger than half of it", function()
    local answers = cache.new(4000)
    answers:put("a", answer(10))
    answers:put("b", answer(2000))
    assert.is_nil(answers:get("b", 0))
    assert.is_table(answers:get("a", 0))
  end)
end)
