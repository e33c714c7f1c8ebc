-- Each wrk thread is one user, so that its requests are static and its connections keep one credential, as a
-- dashboard's do. At the end wrk prints one line of JSON instead of its table.
local next_token = 0

function setup(thread)
  local tokens = {}
  for token in string.gmatch(os.getenv("BENCH_TOKENS") or "", "%S+") do
    table.insert(tokens, token)
  end
  if #tokens > 0 then
    thread:set("token", tokens[next_token % #tokens + 1])
    next_token = next_token + 1
  end
end

function init()
  if token then
    wrk.headers["Authorization"] = "Bearer " .. token
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
