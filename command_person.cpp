#include "command_support.hpp"
#include "commands.hpp"
#include "config/base/text.hpp"
#include "persistence/persons.hpp"

#include <iostream>

namespace binnacle::commands {
namespace {

result<done> note_all(persistence::transaction& tx, const char* action,
                      const std::vector<user_id>& who, time_point now) {
  for (const auto& each : who)
    if (auto noted = note(tx, action, each, now); !noted) return noted;
  return done{};
}

} // namespace

int export_person(settings config, const std::string& address) {
  auto email = lower_case(address);
  if (!is_email(email)) return complain(bad_field("email", "--email: not an email address"));
  return with_database(config, [&](persistence::database& db) {
    std::string rows;
    auto ran =
        db.run(persistence::access::write, [&](persistence::transaction& tx) -> result<done> {
          auto found = persistence::export_person(tx, email);
          if (!found) return found.error();
          rows = std::move(*found);
          auto who = persistence::users_of_person(tx, email);
          if (!who) return who.error();
          return note_all(tx, "PERSON_EXPORTED", *who, system_clock_source().now());
        });
    if (!ran) return complain(ran.error());
    std::cout << rows << "\n";
    return static_cast<int>(ok);
  });
}

int erase_person(settings config, const std::string& address) {
  auto email = lower_case(address);
  if (!is_email(email)) return complain(bad_field("email", "--email: not an email address"));
  return with_database(config, [&](persistence::database& db) {
    std::vector<user_id> erased;
    auto ran =
        db.run(persistence::access::write, [&](persistence::transaction& tx) -> result<done> {
          auto now = system_clock_source().now();
          auto found = persistence::erase_person(tx, email, config.r2.avatars, now);
          if (!found) return found.error();
          erased = std::move(*found);
          return note_all(tx, "PERSON_ERASED", erased, now);
        });
    if (!ran) return complain(ran.error());
    if (erased.empty()) std::cout << "No user has this address; nothing is kept by it.\n";
    for (const auto& each : erased)
      std::cout << "Erased: " << each.value << " is nobody's any more.\n";
    return static_cast<int>(ok);
  });
}

} // namespace binnacle::commands
