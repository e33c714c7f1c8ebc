/// Who the client is, when there are proxies in between. Only X-Forwarded-* of configured proxies
/// are believed, and the list is read from the right: what stands further left was written by
/// somebody we do not know.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::http {

class trusted_proxies {
public:
  /// Addresses or CIDR blocks. Throws std::invalid_argument naming a bad one.
  explicit trusted_proxies(const std::vector<std::string>& blocks);

  bool contains(const boost::asio::ip::address& address) const;
  /// The client of a request that came from `peer` with this X-Forwarded-For. IPv4-mapped
  /// addresses count as IPv4.
  boost::asio::ip::address client(const boost::asio::ip::address& peer,
                                  std::string_view forwarded_for) const;

private:
  std::vector<boost::asio::ip::network_v4> v4_{};
  std::vector<boost::asio::ip::network_v6> v6_{};
};

/// The key of limits and anonymous sessions: an IPv4 address, or the /64 of an IPv6 one, since one
/// customer usually holds all of that.
std::string limit_key(const boost::asio::ip::address& address);

} // namespace binnacle::http
