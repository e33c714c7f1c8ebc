#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "http/multipart.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/replies.hpp"
#include "integrations/avatar_image.hpp"
#include "integrations/object_store.hpp"
#include "persistence/avatars.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <array>

namespace binnacle::http {
namespace {

using persistence::stored_object;

constexpr std::size_t largest_upload = 5 * 1024 * 1024;
/// An upload that has not ended by then never will.
constexpr minutes upload_lease{15};
/// Somebody may upload twice in a millisecond.
constexpr int most_names_tried = 8;

/// hub.md §6, in the order of the checks there.
result<std::string_view> uploaded_file(const request& req, bool has_bucket) {
  auto parts = parse_form(req.at(field::content_type), req.body);
  if (!parts) {
    auto why = parts.error();
    why.text = "Fehler beim Verarbeiten der Formulardaten";
    return why;
  }
  auto file = std::ranges::find_if(*parts, [](const form_part& p) {
    return p.name == "avatar" && p.filename && !p.filename->empty();
  });
  if (file == parts->end())
    return fault{errc::bad_request, "Keine gültige Datei hochgeladen", {}, {}};
  if (!has_bucket) return fault{errc::internal, "R2_AVATARS bucket not available", {}, {}};
  auto extension = lower_case(file->filename->substr(file->filename->rfind('.') + 1));
  constexpr std::array allowed{"jpg", "jpeg", "png", "webp"};
  if (file->filename->find('.') == std::string::npos ||
      std::ranges::find(allowed, extension) == allowed.end())
    return fault{errc::bad_request, "Ungültiger Dateityp", {}, {}};
  if (file->content.size() > largest_upload)
    return fault{errc::bad_request, "Datei zu groß", {}, {}};
  return file->content;
}

/// Ids of issuers may hold characters that a key must not.
std::string key_of(const user_id& who, time_point at) {
  auto id = who.value;
  for (auto& c : id)
    if (!integrations::is_object_key({&c, 1})) c = '_';
  auto since = std::chrono::floor<milliseconds>(at.time_since_epoch());
  return "avatar-" + id + "-" + std::to_string(since.count()) + ".webp";
}

persistence::audit_entry audit_of(const context& ctx, std::string action, json::object detail) {
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = std::move(action);
  out.target = ctx.who().id.value;
  out.detail = json::to_text(detail);
  out.address = ctx.req.client_address;
  return out;
}

result<done> adopt(persistence::transaction& tx, const user_id& who, const stored_object& what,
                   const std::string& image, const persistence::audit_entry& entry,
                   time_point now) {
  auto adopted = persistence::adopt_avatar(tx, who, what, image, now);
  if (!adopted) return adopted;
  return persistence::write_audit(tx, entry, now);
}

/// Puts the picture into the store under a new name and makes it the user's; its address.
task<result<std::string>> replace_avatar(context& ctx, std::string picture) {
  stored_object what{ctx.app.config.r2.avatars, {}};
  std::string image;
  auto now = ctx.now();
  for (int tries = 0;; ++tries) {
    what.key = key_of(ctx.who().id, now + milliseconds{tries});
    image = "/r2/" + what.key;
    auto planned =
        co_await ctx.write(persistence::plan_avatar, ctx.who().id, what, image, now + upload_lease);
    if (!planned) co_return planned.error();
    if (*planned) break;
    if (tries == most_names_tried) co_return internal_fault("no free name for an avatar");
  }
  auto bytes = std::make_shared<const std::string>(std::move(picture));
  auto put = [name = integrations::object_name{what.bucket, what.key}, bytes](
                 integrations::object_store& store, integrations::object_store::instant deadline) {
    return store.put(name, *bytes, "image/webp", deadline);
  };
  auto stored = co_await ctx.with_objects(put);
  if (!stored) co_return stored.error();
  auto entry = audit_of(ctx, "avatar_updated", {{"image", image}, {"bytes", bytes->size()}});
  auto adopted = co_await ctx.settle(adopt, ctx.who().id, what, image, entry, ctx.now());
  if (!adopted) co_return adopted.error();
  co_return image;
}

} // namespace

task<result<response>> post_user_avatar(context& ctx) {
  auto file = uploaded_file(ctx.req, !ctx.app.config.r2.avatars.empty());
  if (!file) co_return file.error();
  // Of its own: the request may be over before the worker gets to it.
  auto bytes = std::make_shared<const std::string>(*file);
  auto normalise = [bytes] { return integrations::normalise_avatar(*bytes); };
  auto picture = co_await ctx.draw(normalise);
  if (!picture) co_return picture.error();
  auto replacing = replace_avatar(ctx, std::move(*picture));
  auto image = co_await std::move(replacing);
  if (!image) {
    auto why = image.error();
    auto entry = audit_of(ctx, "avatar_update_error", {{"error", describe(why.code).name}});
    co_await ctx.settle(persistence::write_audit, entry, ctx.now());
    if (describe(why.code).status >= 500 && why.code != errc::overloaded) { // hub.md §6
      why.code = errc::internal;
      why.text = "Fehler beim Hochladen: Der Speicher hat die Datei nicht angenommen";
    }
    co_return why;
  }
  json::object data{
      {"message", "Avatar erfolgreich aktualisiert"}, {"avatarUrl", *image}, {"imageUrl", *image}};
  co_return written({{"success", true}, {"data", std::move(data)}});
}

} // namespace binnacle::http
