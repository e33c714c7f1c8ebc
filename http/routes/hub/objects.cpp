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

using integrations::object_name;
using found_object = result<std::shared_ptr<const integrations::object>>;
constexpr seconds guest_life{180 * 24 * 3'600};

task<found_object> find_object(context& ctx, object_name name) {
  using steady = std::chrono::steady_clock;
  if (!integrations::is_object_key(name.key)) co_return nullptr;
  if (auto known = ctx.app.object_cache->find(name, steady::now())) co_return known;
  auto find = [name](integrations::object_store& store,
                     integrations::object_store::instant deadline) {
    return store.find(name, deadline);
  };
  auto found = co_await ctx.with_objects(find);
  if (found && *found) ctx.app.object_cache->keep(name, *found, steady::now());
  co_return std::move(found);
}

task<result<response>> serve(context& ctx, object_name name, caching cache) {
  if (name.bucket.empty()) co_return plain_text(500, "R2 bucket not configured");
  auto finding = find_object(ctx, std::move(name));
  auto found = co_await std::move(finding);
  if (!found) co_return found.error();
  if (!*found) co_return plain_text(404, "File not found");
  co_return object_reply(ctx.req, std::move(*found), cache);
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
  auto is_owner = owner_type == "user"    ? ctx.caller() && ctx.caller()->id.value == owner
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
