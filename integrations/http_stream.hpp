/// Answers of upstreams that are too large for memory: the body is taken piece by piece while it
/// arrives. One thread moves all of them, however slowly they are taken: what its taker has not
/// taken yet is bounded, and beyond that the upstream has to wait (TCP pushes back).
#pragma once

#include "integrations/http_client.hpp"

#include <functional>

namespace binnacle::integrations {

/// A body on its way. For one taker, on any thread; when the taker lets go of it, the transfer ends
/// and the upstream notices.
class http_stream {
public:
  enum class next : std::uint8_t {
    bytes,
    nothing, // so far
    over,    // all of it has been taken
    broken,  // the rest will never come
  };

  struct transfer_state;
  explicit http_stream(std::shared_ptr<transfer_state>);
  http_stream(const http_stream&) = delete;
  http_stream& operator=(const http_stream&) = delete;
  ~http_stream();

  /// Replaces `out` by what has arrived.
  next take(std::string& out);
  /// Calls `wake` once, as soon as `take` says something else than `nothing`: now, or on the thread
  /// that moves the bytes. It must neither block nor call back.
  void when_ready(std::function<void()> wake);
  /// All that is still to come. upstream_failed when there is more than `most`, it breaks off, or
  /// it is not there at the deadline.
  result<std::string> read_all(std::size_t most, std::chrono::steady_clock::time_point deadline);
  /// Breaks it, from any thread.
  void end();
  /// Once it is broken.
  std::string why() const;

private:
  const std::shared_ptr<transfer_state> state_;
};

class http_streams {
public:
  struct limits {
    std::size_t ahead = 131'072; // bytes that wait for their taker; a little more at times
    /// So long without a byte, though the taker waits, and it is broken.
    std::chrono::milliseconds stall{10'000};
  };
  struct opened {
    http_answer head{}; // its body is empty
    std::unique_ptr<http_stream> body{};
  };

  http_streams();
  explicit http_streams(limits);
  http_streams(const http_streams&) = delete;
  http_streams& operator=(const http_streams&) = delete;
  ~http_streams(); // as cancel()

  /// Blocks until the head is there, whatever its status; upstream_failed when it has not come
  /// within the deadline of the call, which does not count any more from then on.
  result<opened> open(http_call call);
  /// Transfers that have not come to their end.
  std::size_t under_way() const;
  /// Breaks all of them, and refuses what comes later. Not for two threads at once.
  void cancel();

private:
  class mover;
  const std::shared_ptr<mover> mover_;
};

} // namespace binnacle::integrations
