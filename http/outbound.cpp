#include "http/outbound.hpp"

#include "integrations/http_stream.hpp"
#include "integrations/object_store.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace binnacle::http {
namespace {

/// Of a file at once, and how often before others have their turn.
constexpr std::uint64_t file_chunk = 262'144;
constexpr int most_turns = 4;
/// Whoever takes a megabyte within the write timeout may take the next one.
constexpr std::uint64_t pace = 1'048'576;

} // namespace

void outbound::begin() {
  head_left_ = head;
  text_left_ = {};
  part_ = {};
  sent_ = sent_when_moved_ = 0;
  why_lost_.clear();
}

void outbound::begin(std::string_view body) {
  begin();
  text_left_ = body;
}

void outbound::begin(object_part body) {
  begin();
  part_ = std::move(body);
}

bool outbound::has_moved() {
  if (sent_ - sent_when_moved_ < pace) return false;
  sent_when_moved_ = sent_;
  return true;
}

outbound::next outbound::send(int socket) {
  auto turns = most_turns;
  for (;;) {
    long some = 0;
    if (!head_left_.empty() || !text_left_.empty()) {
      some = send_text(socket);
    } else if (part_.size == 0) {
      return finish(next::done);
    } else if (turns-- == 0) {
      return next::when_writable;
    } else if (part_.stream) {
      if (gather()) continue;
      return why_lost_.empty() ? next::when_ready : finish(next::lost);
    } else {
      some = send_file(socket);
    }
    if (some >= 0 || errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return next::when_writable;
    return finish(next::lost);
  }
}

/// Nothing is held any longer than it is needed.
outbound::next outbound::finish(next how) {
  part_ = {};
  arrived_ = {};
  return how;
}

long outbound::send_text(int socket) {
  std::array<iovec, 2> parts{
      iovec{const_cast<char*>(head_left_.data()), head_left_.size()},
      iovec{const_cast<char*>(text_left_.data()), text_left_.size()},
  };
  msghdr what{};
  what.msg_iov = parts.data();
  what.msg_iovlen = parts.size();
  // Of the file, more follows in the same packet.
  auto more = part_.size > 0 && !part_.stream ? MSG_MORE : 0;
  auto some = ::sendmsg(socket, &what, MSG_NOSIGNAL | more);
  if (some <= 0) return some;
  sent_ += static_cast<std::uint64_t>(some);
  auto of_head = std::min(static_cast<std::size_t>(some), head_left_.size());
  head_left_.remove_prefix(of_head);
  text_left_.remove_prefix(static_cast<std::size_t>(some) - of_head);
  return some;
}

long outbound::send_file(int socket) {
  auto at = static_cast<off_t>(part_.begin);
  auto most = std::min<std::uint64_t>(part_.size, file_chunk);
  auto some = ::sendfile(socket, part_.of->file(), &at, most);
  if (some == 0) { // the file has become shorter: the length we announced is wrong
    why_lost_ = "the file ends early";
    errno = EIO;
    return -1;
  }
  if (some < 0) return some;
  part_.begin += static_cast<std::uint64_t>(some);
  part_.size -= static_cast<std::uint64_t>(some);
  sent_ += static_cast<std::uint64_t>(some);
  return some;
}

/// Takes what has arrived. False when there is nothing, or why it is lost is known.
bool outbound::gather() {
  using from = integrations::http_stream::next;
  switch (part_.stream->take(arrived_)) {
  case from::bytes:
    text_left_ = std::string_view{arrived_}.substr(0, part_.size);
    part_.size -= text_left_.size();
    return true;
  case from::nothing:
    return false;
  case from::over:
    why_lost_ = "it ends early";
    return false;
  case from::broken:
    why_lost_ = part_.stream->why();
    return false;
  }
  return false;
}

} // namespace binnacle::http
