/// One answer on its way out through a socket that does not block: its head, then a body that is in
/// memory, in a file (the kernel copies it from its page cache), or arriving from a store.
#pragma once

#include "actors/exchange.hpp"

#include <string>
#include <string_view>

namespace binnacle::http {

class outbound {
public:
  enum class next : std::uint8_t {
    done,
    when_writable, // the client has not taken it all yet, or it is the turn of others
    when_ready,    // the rest has not arrived: see `source`
    lost,          // the client has gone, or the rest will never come: this must be the end
  };

  // What the head is written to, and perhaps a body that is made for this answer alone.
  std::string head{};
  std::string scratch{};

  /// `head` is there. What `body` points to must live until it is done or lost.
  void begin(std::string_view body);
  void begin(object_part body);

  /// Sends what the socket takes now.
  next send(int socket);
  const std::shared_ptr<integrations::http_stream>& source() const { return part_.stream; }
  /// Whether the client has taken enough since this was true last to be given more time.
  bool has_moved();
  std::uint64_t sent() const { return sent_; }
  /// Why it is lost, if it is not the client's doing.
  const std::string& why_lost() const { return why_lost_; }

private:
  void begin();
  bool gather();
  next finish(next how);
  long send_text(int socket);
  long send_file(int socket);

  std::string_view head_left_{};
  std::string_view text_left_{}; // of a body in memory, or of what has arrived
  object_part part_{};           // what is left of it
  std::string arrived_{};
  std::uint64_t sent_ = 0;
  std::uint64_t sent_when_moved_ = 0;
  std::string why_lost_{};
};

} // namespace binnacle::http
