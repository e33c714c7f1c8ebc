#include "actors/idempotency.hpp"

#include "actors/admission.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "integrations/vault.hpp"
#include "persistence/idempotency.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <mutex>
#include <set>

namespace binnacle {
namespace {

using persistence::idempotency_claim;
using persistence::idempotency_state;

constexpr std::size_t longest_key = 255;
/// A handler waits for nothing past the request's deadline, but a transaction that has begun goes
/// on. After this it has ended, and its answer is kept.
constexpr seconds lease_margin{30};

prometheus::Counter& requests(idempotency_state outcome) {
  static const auto counters = [] {
    constexpr std::array names{"executed", "in_progress", "replayed", "mismatched", "refused"};
    std::array<prometheus::Counter*, names.size()> out{};
    for (std::size_t i = 0; i < names.size(); ++i)
      out[i] = &metrics::counter("binnacle_idempotent_requests_total",
                                 "Requests with an Idempotency-Key", {{"outcome", names[i]}});
    return out;
  }();
  return *counters[static_cast<std::size_t>(outcome)];
}

fault malformed() {
  return bad_field("Idempotency-Key",
                   "Idempotency-Key must be 1 to 255 printable ASCII characters");
}

std::string_view take_line(std::string_view& text) {
  auto end = text.find('\n');
  auto line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

/// `response::content_type` is static text; that of a kept answer becomes so. There are few.
std::string_view interned(std::string_view text) {
  static std::mutex guard;
  static std::set<std::string, std::less<>> known;
  std::lock_guard lock{guard};
  return *known.emplace(text).first;
}

/// What must be the same in a repetition. Neither a method nor a target holds a line break.
std::string fingerprint_of(const integrations::vault& vault, const exchange& x) {
  std::string text{x.matched->face->name};
  text.append("\n").append(to_string(x.req.verb)).append(" ").append(x.req.target);
  text.append("\n").append(x.req.body);
  // Keyed: a body may hold a password, which a plain hash would let one guess.
  return vault.fingerprint(text, "idempotency");
}

/// Answers hold secrets (Set-Cookie, keys that are shown once): what is kept is sealed, always.
std::string seal_context(const idempotency_claim& c) {
  return "idempotency:" + c.scope + ":" + c.key;
}

response still_running(const exchange& x) {
  auto out = x.matched->face->render({errc::in_progress}, x);
  out.headers.emplace_back("Retry-After", "1");
  return out;
}

limit_report too_many(const rate_limit& limit, time_point now, time_point room_at) {
  auto wait = std::max<std::int64_t>(std::chrono::ceil<seconds>(room_at - now).count(), 1);
  return {.name = limit_class::idempotency_keys,
          .limit = limit,
          .remaining = 0,
          .reset_at = unix_seconds(now) + limit.window.count(),
          .retry_after = wait};
}

result<response> replay(const integrations::vault& vault, const idempotency_claim& c,
                        const std::string& sealed) {
  auto text = vault.unseal(sealed, seal_context(c));
  if (!text) return text.error();
  auto out = unpack_answer(text->reveal());
  if (out) out->headers.emplace_back("Idempotency-Replayed", "true");
  return out;
}

} // namespace

bool has_idempotency_key(const request& req) {
  return is_unsafe(req.verb) && req.has(field::idempotency_key);
}

result<std::string> parse_idempotency_key(std::string_view value) {
  auto quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  if (quoted) value = value.substr(1, value.size() - 2);
  std::string key;
  for (std::size_t i = 0; i < value.size(); ++i) {
    auto c = value[i];
    if (c < 0x20 || c > 0x7E) return malformed();
    if (!quoted && (c == ' ' || c == '"' || c == ',' || c == ';' || c == '\\')) return malformed();
    if (quoted && c == '"') return malformed();
    if (quoted && c == '\\') {
      if (++i == value.size() || (value[i] != '"' && value[i] != '\\')) return malformed();
      c = value[i];
    }
    key.push_back(c);
  }
  if (key.empty() || key.size() > longest_key) return malformed();
  return key;
}

bool is_final(int status) {
  return status >= 200 && status < 500 && status != 401 && status != 403 && status != 408 &&
         status != 429;
}

std::string pack_answer(const response& r) {
  auto out = std::to_string(r.status) + " " + std::to_string(static_cast<int>(r.cache)) + " ";
  out.append(r.content_type).append("\n");
  for (auto& [name, value] : r.headers) out.append(name).append(": ").append(value).append("\n");
  return out.append("\n").append(r.shared ? r.shared->text : r.body);
}

result<response> unpack_answer(std::string_view text) {
  response out;
  auto first = take_line(text);
  const auto* end = first.data() + first.size();
  auto cache = 0;
  auto status = std::from_chars(first.data(), end, out.status);
  auto kept = std::from_chars(std::min(status.ptr + 1, end), end, cache);
  if (status.ec != std::errc{} || kept.ec != std::errc{})
    return internal_fault("a kept answer cannot be read");
  out.cache = static_cast<caching>(cache);
  out.content_type = interned({std::min(kept.ptr + 1, end), end});
  for (auto line = take_line(text); !line.empty(); line = take_line(text)) {
    auto colon = line.find(": ");
    if (colon == line.npos) return internal_fault("a kept answer cannot be read");
    out.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  out.body = text;
  return out;
}

task<result<response>> run_once(context& ctx, const exchange& x, std::string scope) {
  auto key = parse_idempotency_key(x.req.at(field::idempotency_key));
  if (!key) co_return key.error();
  const auto& vault = *ctx.app.vault;
  auto now = ctx.now();
  idempotency_claim claim;
  claim.scope = std::move(scope);
  claim.key = std::move(*key);
  claim.fingerprint = fingerprint_of(vault, x);
  claim.holder = ctx.app.node + "/" + make_ulid(now);
  claim.lease_until = now + ctx.app.config.http.request_timeout + lease_margin;
  const auto& limit =
      ctx.app.config.limits[static_cast<std::size_t>(limit_class::idempotency_keys)];
  claim.expires_at = std::max(now + limit.window, claim.lease_until);
  claim.most = limit.max;
  auto verdict = co_await ctx.write(persistence::claim_idempotency_key, claim, now);
  if (!verdict) co_return verdict.error();
  requests(verdict->state).Increment();
  switch (verdict->state) {
  case idempotency_state::running:
    co_return still_running(x);
  case idempotency_state::answered:
    co_return replay(vault, claim, verdict->answer);
  case idempotency_state::mismatched:
    co_return fault{errc::unprocessable, "This Idempotency-Key was used with another request"};
  case idempotency_state::crowded:
    co_return ctx.refuse(too_many(limit, now, verdict->room_at));
  case idempotency_state::claimed:
    break;
  }

  response out;
  std::exception_ptr thrown; // a co_await cannot stand in a catch block
  try {
    auto handled = co_await x.matched->run(ctx);
    if (handled) {
      out = std::move(*handled);
    } else {
      out = x.matched->face->render(handled.error(), x);
      out.log_detail = to_string(handled.error());
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  std::string sealed;
  if (!thrown && is_final(out.status))
    if (auto text = pack_answer(out); text.size() <= most_kept_answer)
      sealed = vault.seal(secret{std::move(text)}, seal_context(claim));
  // Before the client hears of it, so that it never finds its own answered request in progress.
  result<done> settled{done{}};
  if (sealed.empty())
    settled = co_await ctx.settle(persistence::release_idempotency_key, claim);
  else
    settled = co_await ctx.settle(persistence::keep_idempotent_answer, claim, sealed);
  if (!settled)
    log::warn("an Idempotency-Key stays claimed until its lease ends",
              {{"request_id", x.id}, {"why", to_string(settled.error())}});
  if (thrown) std::rethrow_exception(thrown);
  co_return std::move(out);
}

} // namespace binnacle
