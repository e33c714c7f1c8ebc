/// Server-sent events (HTML Living Standard §9.2) on their way from a session to a connection.
///
/// The session pushes, the connection takes and writes; both from any thread. What is pushed is
/// taken in order, or not at all once the stream has ended. Knows nothing of sockets.
#pragma once

#include "actors/exchange.hpp"
#include "actors/interfaces.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace binnacle {

/// One event: "id: …" unless it is empty (then the client keeps the last one), "event: …",
/// "data: …" and an empty line. None of the texts has a line end.
std::string to_event(std::string_view id, std::string_view name, std::string_view data);

class event_stream {
public:
  using steady = std::chrono::steady_clock;

  /// More than this waiting ends the stream: its client does not read. It comes back, and is told
  /// then what it missed.
  static constexpr std::size_t most_waiting = 65'536;
  /// So long without a byte, and a comment is sent: proxies and dead clients need one.
  static constexpr std::chrono::seconds heartbeat{15};

  /// For whoever presented `who`; `generation` is the services' change_generation of now.
  event_stream(std::shared_ptr<const credential> who, std::uint64_t generation);
  ~event_stream();
  event_stream(const event_stream&) = delete;
  event_stream& operator=(const event_stream&) = delete;

  const credential* who() const { return who_.get(); }
  /// Set by its session before the answer goes out.
  session_actor session{};
  /// Of the services' change_generation, as its session was told last.
  std::atomic<std::uint64_t> generation;

  /// Nothing happens when it has ended.
  void push(std::string_view text);
  /// What waits is still written, then the connection closes.
  void end();
  bool ended() const;

  /// `wake` is called, from whatever thread pushes, whenever there is something new to take, and
  /// once at once. It must not call back.
  void attach(std::function<void()> wake);
  enum class next : std::uint8_t { nothing, bytes, over };
  /// Replaces `out` by what waits: `bytes`, to be followed by one call of written(). Until then,
  /// and while nothing waits: `nothing`. After the last bytes of an ended stream: `over`.
  next take(std::string& out);
  void written();

  /// Called now and then: sends a heartbeat when it is time for one. False when the client has not
  /// taken anything for `patience`.
  bool check(steady::time_point now, steady::duration patience);

private:
  void append(std::string_view text); // with `guard_`

  const std::shared_ptr<const credential> who_;
  mutable std::mutex guard_{};
  std::function<void()> wake_{};
  std::string waiting_{};
  bool writing_ = false;
  bool ended_ = false;
  steady::time_point last_use_ = steady::now(); // a write began
};

} // namespace binnacle
