/// The newsletter, with double opt-in: who asks for it gets a mail, and it whoever follows the link
/// in the mail. hub.md §7. Nothing here tells whether an address is known.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

#include <optional>
#include <string>

namespace binnacle {

constexpr hours confirmation_life{24};
/// Mails to one address in an hour, whoever asks for them; further requests do nothing.
constexpr std::int64_t most_confirmations = 3;

struct newsletter_wish {
  std::string email{}; // is_email, lower case
  std::string first_name{};
  std::string source{};
  std::string link_base{}; // scheme://host[:port]
};
task<result<done>> ask_for_newsletter(context& ctx, newsletter_wish wish);

struct confirmed_subscription {
  std::string email{};
  time_point since{};
};
/// A token works once. not_found; gone when it has expired; bad_request when it was sent to another
/// address than `email`, if that is given. With `use` false it only tells how things stand.
task<result<confirmed_subscription>> confirm_newsletter(context& ctx, std::string token,
                                                        std::optional<std::string> email, bool use);

task<result<done>> end_newsletter(context& ctx, std::string email);

} // namespace binnacle
