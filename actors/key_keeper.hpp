/// Reads API keys for those who verify them and do not find them in memory (known_keys.hpp), and
/// writes down when keys were used.
///
/// All that are asked for while the database is being read are read next, in one statement: however
/// many names somebody makes up, a node reads once at a time, and nobody whose key is good is ever
/// refused for it. Who asks is answered with what the database had after the question.
///
/// Uses are written every few seconds and at a stop, a row per key and minute. Those of the last
/// seconds before a crash are lost, and with them nothing but the minute they would have shown.
#pragma once

#include "actors/key_messages.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

key_keeper_actor spawn_key_keeper(caf::actor_system& system, services& app);

} // namespace binnacle
