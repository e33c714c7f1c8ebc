/// The messages and the interface of the actor that keeps API keys at hand (key_keeper.hpp).
#pragma once

#include "actors/messages.hpp"

#include <caf/typed_actor.hpp>

namespace binnacle {

struct known_key;

/// Read this key from the database, and remember it.
struct find_key {
  std::string client_id{};
};
/// Null: nobody has a key of that name.
struct found_key {
  std::shared_ptr<const known_key> what{};
};
/// A key was good for somebody.
struct key_used {
  std::string id{};
  std::int64_t at = 0; // unix seconds
};
/// Write down all uses, then reply `key_uses_flushed`.
struct flush_key_uses {};
struct key_uses_flushed {
  bool saved = true;
};

/// Reads API keys for those who verify them, and writes down when they were used.
using key_keeper_actor = caf::typed_actor<
    // Replies with what the database has had since it was asked; errc::overloaded when too many
    // wait.
    caf::replies_to<find_key>::with<found_key>, caf::reacts_to<key_used>,
    caf::replies_to<flush_key_uses>::with<key_uses_flushed>,
    // INTERNAL: time to write.
    caf::reacts_to<caf::tick_atom>>;

template <class I>
typename I::result_type inspect(I& f, find_key& x) {
  return f(caf::meta::type_name("find_key"), x.client_id);
}
template <class I>
typename I::result_type inspect(I& f, key_used& x) {
  return f(caf::meta::type_name("key_used"), x.id, x.at);
}
template <class I>
typename I::result_type inspect(I& f, flush_key_uses&) {
  return f(caf::meta::type_name("flush_key_uses"));
}
template <class I>
typename I::result_type inspect(I& f, key_uses_flushed& x) {
  return f(caf::meta::type_name("key_uses_flushed"), x.saved);
}

} // namespace binnacle

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::found_key)

// Apart from the ids of messages.hpp, which may grow.
CAF_BEGIN_TYPE_ID_BLOCK(binnacle_keys, caf::first_custom_type_id + 450)

  CAF_ADD_TYPE_ID(binnacle_keys, (binnacle::find_key))
  CAF_ADD_TYPE_ID(binnacle_keys, (binnacle::found_key))
  CAF_ADD_TYPE_ID(binnacle_keys, (binnacle::key_used))
  CAF_ADD_TYPE_ID(binnacle_keys, (binnacle::flush_key_uses))
  CAF_ADD_TYPE_ID(binnacle_keys, (binnacle::key_uses_flushed))

CAF_END_TYPE_ID_BLOCK(binnacle_keys)
