#include "integrations/http_client.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <curl/curl.h>

namespace binnacle::integrations {
namespace {

/// The delay that a Retry-After names. A date is compared with the sender's own Date, where there
/// is one, so that its clock need not agree with ours. Nothing when it cannot be read.
std::optional<std::chrono::milliseconds> retry_after(const http_answer& answer) {
  constexpr std::int64_t a_day = 24 * 3600;
  auto text = answer.header("retry-after");
  if (text.empty()) return {};
  std::int64_t wait = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wait);
  if (error == std::errc::result_out_of_range)
    wait = a_day;
  else if (error != std::errc{} || end != text.data() + text.size()) {
    auto at = curl_getdate(text.c_str(), nullptr);
    if (at < 0) return {};
    auto sent = curl_getdate(answer.header("date").c_str(), nullptr);
    wait = static_cast<std::int64_t>(at - (sent < 0 ? std::time(nullptr) : sent));
  }
  return std::chrono::seconds{std::clamp<std::int64_t>(wait, 0, a_day)};
}

} // namespace

outcome classify(const result<http_answer>& answer) {
  if (!answer) return outcome::unreachable;
  auto status = answer->status;
  if (status >= 200 && status < 300) return outcome::success;
  if (status == 429 || (status == 503 && !answer->header("retry-after").empty()))
    return outcome::throttled;
  if (status == 408 || status == 409 || status >= 500) return outcome::faulty;
  return outcome::refused; // a 4xx, or a redirect, which we do not follow
}

std::optional<std::chrono::milliseconds>
retry_policy::delay_before(int next, const result<http_answer>& last, double random) const {
  auto what = classify(last);
  if (next > attempts || what == outcome::success || what == outcome::refused) return {};
  auto doublings = std::clamp(next - 2, 0, 20);
  auto ceiling = std::min(longest, first * (std::int64_t{1} << doublings));
  std::chrono::milliseconds wait{
      static_cast<std::int64_t>(static_cast<double>(ceiling.count()) * random)};
  if (last)
    if (auto asked = retry_after(*last)) wait = std::max(wait, *asked);
  return std::min(wait, longest);
}

} // namespace binnacle::integrations
