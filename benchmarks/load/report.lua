-- Each wrk thread is one user, so that its requests are static and its connections keep one credential, as a
-- dashboard's do; or it is one service, which posts one body from an address of its own. At the end wrk prints
-- one line of JSON instead of its table.
local next_thread = 0

local function words(name)
  local found = {}
  for word in string.gmatch(os.getenv(name) or "", "%S+") do
    table.insert(found, word)
  end
  return found
end

function setup(thread)
  local tokens, bodies = words("BENCH_TOKENS"), words("BENCH_BODIES")
  if #tokens > 0 then
    thread:set("token", tokens[next_thread % #tokens + 1])
  end
  if #bodies > 0 then
    thread:set("body", bodies[next_thread % #bodies + 1])
    thread:set("address", "192.0.2." .. next_thread + 1)
  end
  next_thread = next_thread + 1
end

function init()
  if token then
    wrk.headers["Authorization"] = "Bearer " .. token
  end
  if body then
    wrk.method = "POST"
    wrk.body = body
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["X-Forwarded-For"] = address
  end
  wrk.headers["Accept"] = "application/json"
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failures":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
