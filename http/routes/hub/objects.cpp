#include "config/base/secret.hpp"
#include "http/object_reply.hpp"
#include "http/routes/cookies.hpp"
#include "http/routes/hub/handlers.hpp"
#include "integrations/object_cache.hpp"
#include "integrations/tokens.hpp"

#include <array>
#include <caf/typed_event_based_actor.hpp>
#include <chrono>

namespace binnacle::http {
namespace {

using integrations::object;
using integrations::object_name;
using integrations::object_store;
using integrations::opened_object;
constexpr seconds guest_life{180 * 24 * 3'600};

/// Whether it can only be answered with all of the object.
bool wants_all(const request& req) {
  return req.verb == method::get && !req.has(field::range) && !req.has(field::if_none_match) &&
         !req.has(field::if_modified_since);
}

/// What the cache or the store knows of it, with bytes when all of it is wanted.
task<result<opened_object>> open_object(context& ctx, object_name name) {
  using steady = std::chrono::steady_clock;
  opened_object out;
  if (!integrations::is_object_key(name.key)) co_return out;
  auto all = wants_all(ctx.req);
  out.what = ctx.app.object_cache->find(name, steady::now());
  // A large one is not worth asking for again, as its bytes come in a stream of their own.
  if (out.what && (!all || out.what->is_at_hand() || out.what->size() > object::most_in_memory))
    co_return out;
  auto find = [name, all](object_store& store,
                          object_store::instant deadline) -> result<opened_object> {
    if (all) return store.open(name, deadline);
    auto found = store.find(name, deadline);
    if (!found) return found.error();
    return opened_object{std::move(*found), {}};
  };
  auto found = co_await ctx.with_objects(find);
  if (!found) co_return found.error();
  out = std::move(*found);
  if (out.what) ctx.app.object_cache->keep(name, out.what, steady::now());
  co_return out;
}

/// The bytes of `part`; null when the object is another one by now, or gone.
task<result<std::shared_ptr<integrations::http_stream>>> read_part(context& ctx, object_name name,
                                                                   object_part part) {
  auto read = [name, part](object_store& store, object_store::instant deadline) {
    return store.read(name, part.of->facts(), part.begin, part.size, deadline);
  };
  auto stream = co_await ctx.with_objects(read);
  if (stream && !*stream) ctx.app.object_cache->forget(name);
  co_return std::move(stream);
}

task<result<response>> serve(context& ctx, object_name name, caching cache) {
  if (name.bucket.empty()) co_return plain_text(500, "R2 bucket not configured");
  // Twice at most: what is remembered of an object may not be true any more.
  for (auto last = false;; last = true) {
    auto opening = open_object(ctx, name);
    auto found = co_await std::move(opening);
    if (!found) co_return found.error();
    if (!found->what) co_return plain_text(404, "File not found");
    auto out = object_reply(ctx.req, found->what, cache);
    out.part.stream = std::move(found->bytes);
    auto is_complete = ctx.req.verb == method::head || !out.part.of || out.part.of->is_at_hand() ||
                       out.part.stream;
    if (is_complete) co_return out;
    auto reading = read_part(ctx, name, out.part);
    auto stream = co_await std::move(reading);
    if (!stream) co_return stream.error();
    out.part.stream = std::move(*stream);
    if (out.part.stream) co_return out;
    if (last) co_return plain_text(404, "File not found");
  }
}

/// Random, version 4 (RFC 9562 §5.4).
std::string make_uuid() {
  auto raw = integrations::sha256(integrations::random_token(32)).substr(0, 16);
  raw[6] = static_cast<char>((raw[6] & 0x0F) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3F) | 0x80);
  auto out = integrations::to_hex(raw);
  for (auto at : {8U, 13U, 18U, 23U}) out.insert(at, 1, '-');
  return out;
}

/// "prefix/category/ownerType/ownerId/…"; what is missing is empty.
std::array<std::string_view, 4> segments_of(std::string_view key) {
  std::array<std::string_view, 4> out;
  for (auto& segment : out) {
    auto slash = std::min(key.find('/'), key.size());
    segment = key.substr(0, slash);
    key.remove_prefix(std::min(slash + 1, key.size()));
  }
  return out;
}

} // namespace

task<result<response>> get_avatar_object(context& ctx) {
  return serve(ctx, {ctx.app.config.r2.avatars, ctx.req.params[0]}, caching::public_immutable);
}

task<result<response>> get_ai_object(context& ctx) {
  const auto& key = ctx.req.params[0];
  auto [prefix, category, owner_type, owner] = segments_of(key);
  if ((prefix != "ai-enhancer" && prefix != "ai-video") || category.empty())
    co_return plain_text(404, "Not found");
  object_name name{ctx.app.config.r2.ai_images, key};
  if (category != "results") {
    auto serving = serve(ctx, std::move(name), caching::public_for_a_quarter);
    co_return co_await std::move(serving);
  }
  if (owner.empty()) co_return plain_text(404, "Not found");
  auto guest = ctx.req.cookie("guest_id");
  auto* caller = ctx.caller() && ctx.caller()->status == "active" ? ctx.caller() : nullptr;
  auto is_owner = owner_type == "user"    ? caller && caller->id.value == owner
                  : owner_type == "guest" ? !guest.empty() && constant_time_equal(guest, owner)
                                          : false;
  result<response> out = plain_text(403, "Forbidden");
  if (is_owner) {
    auto serving = serve(ctx, std::move(name), caching::private_immutable);
    out = co_await std::move(serving);
  }
  if (out && !ctx.caller() && guest.empty())
    out->headers.emplace_back("Set-Cookie",
                              set_cookie(ctx, "guest_id", make_uuid(), guest_life, readable::no));
  co_return std::move(out);
}

} // namespace binnacle::http
