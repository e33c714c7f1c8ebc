/// Access and refresh tokens: what a client that keeps no cookie logs in with.
///
/// A login begins a family of refresh tokens. Each is good for one use, which gives its successor;
/// seven days without a use end the family (identity.refresh_token_life). Several tabs that come
/// with the same token within `reuse_interval` all get the family's newest; whoever comes later
/// with one that was used has it from somebody else, so the family ends, and both log in anew. A
/// new password ends all families of a user, and one who is suspended gets no token. Source of the
/// rotation: RFC 9700 §4.14.
///
/// The database has a token's SHA-256 and, sealed by the vault, the newest token of a family for as
/// long as it may have to be given again.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "config/base/secret.hpp"

namespace binnacle {

constexpr seconds reuse_interval{10};

struct token_pair {
  secret access{};  // identity.access_token_life
  secret refresh{}; // not good as an access token, nor the other way round
};

/// For somebody who has just logged in: the first tokens of a new family.
task<result<token_pair>> issue_tokens(context& ctx, persistence::user who);

/// unauthenticated for whatever is not a live refresh token of an active user.
task<result<token_pair>> refresh_tokens(context& ctx, secret refresh);

/// Ends the family of this token, if it is one.
task<result<done>> end_tokens(context& ctx, secret refresh);

} // namespace binnacle
