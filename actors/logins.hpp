/// Logging in through the OpenID provider: what a browser has to bring back, and who comes back.
/// The rules are here, without HTTP; platform.md §1, OpenID Connect Core 1.0 §3.1.
///
/// What a login needs when it comes back (state, nonce, PKCE verifier, where to go) goes to the
/// browser, sealed, in a cookie that scripts cannot read: nothing is stored for a login that is
/// only begun. It is good for ten minutes, in the browser it was given to, once.
#pragma once

#include "actors/accounts.hpp"
#include "actors/context.hpp"
#include "actors/task.hpp"

#include <string>
#include <string_view>

namespace binnacle {

constexpr minutes login_life{10};

struct login_wish {
  std::string return_to{}; // a path of ours, checked by the caller; empty: the front page
  std::string login_hint{};
  std::string corporate_ref{}; // a HubSpot deal to sign up for (hubspot::is_id); empty: none
  bool sign_up = false;
  std::string redirect_uri{};
};
struct login_begun {
  std::string location{}; // at the provider
  std::string sealed{};   // for the browser
};
/// unavailable: the provider cannot be reached.
task<result<login_begun>> begin_login(context& ctx, login_wish wish);

/// What the provider sends a browser back with.
struct login_return {
  std::string sealed{}; // what the browser was given
  std::string state{};
  std::string code{};
  std::string error{}; // the provider's refusal; empty: none
  std::string redirect_uri{};
};
struct login_completed {
  begun_session session{};
  std::string return_to{};
};
/// Who signs up for a deal with a verified address that belongs to it is paid for by it from then
/// on (persistence::take_up_deal); a deal that does not fit, or cannot be looked up, is only
/// logged. bad_request: not this browser's login, too old, or used before; unauthenticated: the
/// provider refuses, or its token is no good; forbidden: suspended and deleted users; unavailable:
/// the provider cannot be reached, and the login begins anew.
task<result<login_completed>> complete_login(context& ctx, login_return back, std::string surface);

} // namespace binnacle
