#include "http/client_address.hpp"

#include "config/base/text.hpp"

#include <algorithm>
#include <stdexcept>

namespace binnacle::http {
namespace {

namespace ip = boost::asio::ip;

ip::address unmapped(const ip::address& a) {
  if (a.is_v6() && a.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, a.to_v6());
  return a;
}

} // namespace

trusted_proxies::trusted_proxies(const std::vector<std::string>& blocks) {
  for (auto& block : blocks) {
    boost::system::error_code error;
    auto slash = block.find('/');
    auto address = ip::make_address(block.substr(0, slash), error);
    if (error) throw std::invalid_argument{"http.trusted_proxies: bad address " + block};
    if (address.is_v4()) {
      auto net = ip::make_network_v4(slash == block.npos ? block + "/32" : block, error);
      if (!error) v4_.push_back(net.canonical());
    } else {
      auto net = ip::make_network_v6(slash == block.npos ? block + "/128" : block, error);
      if (!error) v6_.push_back(net.canonical());
    }
    if (error) throw std::invalid_argument{"http.trusted_proxies: bad block " + block};
  }
}

bool trusted_proxies::contains(const ip::address& address) const {
  auto a = unmapped(address);
  if (a.is_v4())
    return std::ranges::any_of(v4_, [&](const auto& net) {
      return ip::network_v4{a.to_v4(), net.prefix_length()}.canonical() == net;
    });
  return std::ranges::any_of(v6_, [&](const auto& net) {
    return ip::network_v6{a.to_v6(), net.prefix_length()}.canonical() == net;
  });
}

ip::address trusted_proxies::client(const ip::address& peer, std::string_view forwarded_for) const {
  auto client = unmapped(peer);
  while (contains(client) && !forwarded_for.empty()) {
    auto comma = forwarded_for.rfind(',');
    auto last =
        trimmed(comma == forwarded_for.npos ? forwarded_for : forwarded_for.substr(comma + 1));
    boost::system::error_code error;
    auto next = ip::make_address(std::string{last}, error);
    if (error) break; // what a trusted proxy did not write as an address, nobody vouches for
    client = unmapped(next);
    forwarded_for =
        comma == forwarded_for.npos ? std::string_view{} : forwarded_for.substr(0, comma);
  }
  return client;
}

std::string limit_key(const ip::address& address) {
  auto a = unmapped(address);
  if (a.is_v4()) return a.to_string();
  return ip::network_v6{a.to_v6(), 64}.canonical().to_string();
}

} // namespace binnacle::http
